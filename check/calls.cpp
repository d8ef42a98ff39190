// See calls.hpp. Depends on engine, kernels/pointwise.
#include <thalweg/check/calls.hpp>

#include <cmath>

#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg::check {

std::shared_ptr<const void> default_attrs(const OpDef& op) {
  if (op.attrs_size == 0) return nullptr;
  std::shared_ptr<void> p(::operator new(op.attrs_size), [destroy = op.attrs_destroy](void* q) {
    if (destroy) destroy(q);
    ::operator delete(q);
  });
  op.attrs_copy(p.get(), nullptr);
  return p;
}

std::vector<Tensor> forward(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs) {
  Tensor out[4];
  apply(*op.def, in.data(), static_cast<int>(in.size()), attrs, {}, out);
  return {out, out + op.def->n_out};
}

std::vector<Tensor> evaluate(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs) {
  NoGrad off;
  return forward(op, in, attrs);
}

Function function_of(const OpInfo& op, std::shared_ptr<const void> attrs) {
  return [op, attrs](const std::vector<Tensor>& in) { return forward(op, in, attrs.get()); };
}

bool takes_gradient(const OpInfo& op, const std::vector<Tensor>& in, std::size_t i) {
  return op.def->differentiable && in[i].defined() && is_floating(in[i].dtype()) &&
         (i >= 32 || ((op.def->no_grad >> i) & 1u) == 0);
}

bool any_gradient(const OpInfo& op, const std::vector<Tensor>& in) {
  for (std::size_t i = 0; i < in.size(); ++i)
    if (takes_gradient(op, in, i)) return true;
  return false;
}

std::vector<Tensor> leaves(const OpInfo& op, const std::vector<Tensor>& in) {
  std::vector<Tensor> r = in;
  for (std::size_t i = 0; i < in.size(); ++i)
    if (takes_gradient(op, in, i)) r[i] = leaf(in[i]);
  return r;
}

std::vector<Tensor> random_seeds(const std::vector<Tensor>& out, Numbers& numbers) {
  std::vector<Tensor> seeds(out.size());
  for (std::size_t j = 0; j < out.size(); ++j)
    if (out[j].requires_grad()) seeds[j] = cast(numbers.signed_units(out[j].shape()), out[j].dtype());
  return seeds;
}

std::vector<Tensor> pull_back(const std::vector<Tensor>& out, const std::vector<Tensor>& in,
                              const std::vector<Tensor>& seeds, bool create_graph, bool retain) {
  std::vector<Tensor> result(in.size()), wanted, from, given;
  std::vector<std::size_t> place;
  for (std::size_t i = 0; i < in.size(); ++i)
    if (in[i].requires_grad()) wanted.push_back(in[i]), place.push_back(i);
  for (std::size_t j = 0; j < out.size(); ++j)
    if (out[j].requires_grad() && seeds[j].defined()) from.push_back(out[j]), given.push_back(seeds[j]);
  std::vector<Tensor> g(wanted.size());
  if (!from.empty() && !wanted.empty())
    g = grad(
        from, wanted,
        {.grad_outputs = given, .retain_graph = retain, .create_graph = create_graph, .allow_unused = true});
  for (std::size_t k = 0; k < wanted.size(); ++k)
    result[place[k]] = g[k].defined() ? g[k] : zeros_like(wanted[k]);
  return result;
}

std::vector<Tensor> gradients(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs,
                              const std::vector<Tensor>& seeds, bool create_graph) {
  EnableGrad on;
  const std::vector<Tensor> x = leaves(op, in);
  return pull_back(forward(op, x, attrs), x, seeds, create_graph);
}

namespace {

void add_to(Tensor& total, const ConstView& term) {
  Tensor plain = empty(total.shape(), total.dtype());
  kernels::copy(term, plain.mutable_view());
  double* t = total.mutable_data<double>();
  const double* p = plain.data<double>();
  for (std::int64_t i = 0; i < total.numel(); ++i) t[i] += p[i];
}

std::vector<Tensor> push_pointwise(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs,
                                   const std::vector<Tensor>& tangents) {
  const Tensor y = evaluate(op, in, attrs)[0];
  Tensor total = zeros(y.shape(), DType::f64);
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!tangents[i].defined()) continue;
    const ConstView u = broadcast_view(tangents[i].view(), y.shape());
    if (op.def->identity[i]) {
      add_to(total, u);
      continue;
    }
    ConstView src[5] = {u};
    int k = 1;
    for (int b = 0; b < static_cast<int>(in.size()); ++b)
      if (op.def->needs_of(static_cast<int>(i)) & need_input(b))
        src[k++] = broadcast_view(in[static_cast<std::size_t>(b)].view(), y.shape());
    if (op.def->needs_of(static_cast<int>(i)) & need_output()) src[k++] = y.view();
    const Tensor term = empty(y.shape(), DType::f64);
    kernels::pointwise(op.def->kernels().backward[i][kernel_index(DType::f64)], DType::f64, src, k,
                       term.mutable_view(), attrs);
    add_to(total, term.view());
  }
  return {total};
}

}  // namespace

std::vector<Tensor> push_forward(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs,
                                 const std::vector<Tensor>& tangents) {
  if (op.pointwise()) return push_pointwise(op, in, attrs, tangents);
  if (!op.linear && !op.multilinear) return {};
  std::vector<Tensor> total;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!tangents[i].defined()) continue;
    std::vector<Tensor> x = in;
    for (std::size_t k = 0; k < in.size(); ++k)
      if (k == i || op.linear) x[k] = tangents[k].defined() ? tangents[k] : in[k];
    std::vector<Tensor> y = evaluate(op, x, attrs);
    if (total.empty())
      for (const Tensor& t : y) total.push_back(is_floating(t.dtype()) ? cast(t, DType::f64) : Tensor());
    else
      for (std::size_t j = 0; j < y.size(); ++j)
        if (total[j].defined()) add_to(total[j], y[j].view());
    if (op.linear) break;
  }
  return total;
}

Function vjp_function(Function f, std::size_t n_in, std::uint64_t fixed) {
  return [f = std::move(f), n_in, fixed](const std::vector<Tensor>& xv) {
    const bool create = grad_enabled();
    EnableGrad on;
    std::vector<Tensor> x(xv.begin(), xv.begin() + static_cast<std::ptrdiff_t>(n_in));
    std::vector<Tensor> wanted;
    for (std::size_t i = 0; i < n_in; ++i) {
      if ((fixed >> i) & 1u || !x[i].defined() || !is_floating(x[i].dtype())) continue;
      if (!x[i].requires_grad()) x[i] = leaf(x[i]);
      wanted.push_back(x[i]);
    }
    std::vector<Tensor> out = f(x), from, seeds;
    std::size_t next = n_in;
    for (const Tensor& y : out) {
      if (!y.defined() || !is_floating(y.dtype())) continue;
      const Tensor& v = xv[next++];
      if (y.requires_grad()) from.push_back(y), seeds.push_back(v);
    }
    std::vector<Tensor> g(wanted.size());
    if (!from.empty())
      g = grad(from, wanted, {.grad_outputs = seeds, .create_graph = create, .allow_unused = true});
    for (std::size_t k = 0; k < g.size(); ++k)
      if (!g[k].defined()) g[k] = zeros_like(wanted[k]);
    return g;
  };
}

Dot dot(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  Dot d;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (!a[k].defined() || !b[k].defined()) continue;
    const std::vector<double> x = values(a[k]), y = values(b[k]);
    for (std::size_t i = 0; i < x.size(); ++i) {
      d.value += x[i] * y[i];
      d.magnitude += std::fabs(x[i] * y[i]);
    }
  }
  return d;
}

}  // namespace thalweg::check

// The calls that every axis starts from, and their variations. Depends on axes.hpp, fmt.
// Invariant: the same op and options give the same cases, and a higher tier only adds to them, so that a
// message can name a case by its place among those of the full tier.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg::check {
namespace {

constexpr double kink_margin = 0.03;  // wider than the stencil, which reaches 3 steps of 0.001 max(1, |x|)

double operand_value(const Row& row, int operand, Numbers& numbers) {
  const Interval& range = row.domain[operand];
  for (int attempt = 0;; ++attempt) {
    double x = numbers.uniform(range.lo, range.hi);
    if (row.predicate) return std::round(2 * x) / 2;  // so that equal operands do occur
    // Two lattices that never meet, so that a and b differ at every pair of a broadcast too.
    if (row.kink_at_equal)
      x = 0.2 * std::floor(5 * x) + (operand == 0 ? 0.0 : 0.1) + numbers.uniform(-0.02, 0.02);
    const auto near = [&](double k) { return std::fabs(x - k) < kink_margin; };
    if (operand != 0 || attempt > 100 || std::none_of(row.kinks.begin(), row.kinks.end(), near)) return x;
  }
}

std::uint64_t fixed_inputs(const OpInfo& op, const std::vector<Tensor>& in) {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < in.size() && i < 64; ++i)
    if (!takes_gradient(op, in, i)) mask |= std::uint64_t{1} << i;
  return mask;
}

void add_case(const OpInfo& op, std::vector<Case>& to, std::vector<Tensor> in,
              std::shared_ptr<const void> attrs, std::string note) {
  Case c{.in = std::move(in),
         .attrs = std::move(attrs),
         .note = std::move(note),
         .index = static_cast<int>(to.size()),
         .fixed = 0};
  c.fixed = fixed_inputs(op, c.in);
  to.push_back(std::move(c));
}

std::vector<Case> pointwise_cases(const OpInfo& op, const Options& options) {
  Numbers numbers(options.seed);
  std::vector<std::shared_ptr<const void>> attrs{default_attrs(*op.def)};
  if (op.attr_samples)
    for (auto& a : op.attr_samples()) attrs.push_back(std::move(a));
  std::vector<Case> cases;
  for (std::size_t k = 0; k < attrs.size(); ++k) {
    const std::string note = k == 0 ? "" : fmt::format("attributes {}", k);
    for (const Dims& shape : {Dims{7}, Dims{2, 3}, Dims{}, Dims{37, 9}})
      add_case(op, cases, pointwise_operands(op, shape, numbers), attrs[k], note);
  }
  return cases;
}

std::vector<Case> structured_cases(const OpInfo& op, const Options& options) {
  SampleList list(options.seed);
  op.samples(list);
  std::vector<Case> cases;
  for (const Sample& s : list.list()) {
    add_case(op, cases, s.in, s.attrs ? s.attrs : default_attrs(*op.def), s.note);
    cases.back().at_kink = s.gradient;
  }
  return cases;
}

}  // namespace

std::vector<Tensor> pointwise_operands(const OpInfo& op, const std::vector<Dims>& shapes, Numbers& numbers) {
  std::vector<Tensor> in;
  for (int i = 0; i < op.def->n_in; ++i) {
    Tensor t = empty(shapes[static_cast<std::size_t>(i)], DType::f64);
    double* p = t.mutable_data<double>();
    const bool condition = ((op.row->conditions >> i) & 1u) != 0;
    for (std::int64_t k = 0; k < t.numel(); ++k)
      p[k] = condition ? static_cast<double>(numbers.below(2)) : operand_value(*op.row, i, numbers);
    in.push_back(condition ? cast(t, DType::boolean) : t);
  }
  return in;
}

std::vector<Tensor> pointwise_operands(const OpInfo& op, const Dims& shape, Numbers& numbers) {
  return pointwise_operands(op, std::vector<Dims>(static_cast<std::size_t>(op.def->n_in), shape), numbers);
}

std::vector<Case> cases_of(const OpInfo& op, const Options& options) {
  NoGrad off;
  // More numbers, not other calls: the cases of a lower tier are the first ones of a higher.
  const int rounds = options.tier == Tier::quick ? 1 : options.tier == Tier::standard ? 4 : 32;
  std::vector<Case> all;
  for (int round = 0; round < rounds; ++round) {
    Options o = options;
    o.seed += static_cast<std::uint64_t>(round);
    for (Case& c : op.pointwise() ? pointwise_cases(op, o) : structured_cases(op, o)) {
      c.index = static_cast<int>(all.size());
      all.push_back(std::move(c));
    }
  }
  return all;
}

std::vector<const Case*> variants(const std::vector<Case>& cases) {
  std::vector<const Case*> found;
  for (const Case& c : cases)
    if (std::none_of(found.begin(), found.end(), [&](const Case* f) { return f->attrs == c.attrs; }))
      found.push_back(&c);
  return found;
}

std::vector<Tensor> cast_floating(const std::vector<Tensor>& in, DType dtype) {
  std::vector<Tensor> r = in;
  for (Tensor& t : r)
    if (t.defined() && is_floating(t.dtype())) t = cast(t, dtype);
  return r;
}

std::int64_t gradient_elements(const OpInfo& op, const Case& c) {
  std::int64_t n = 0;
  for (std::size_t i = 0; i < c.in.size(); ++i)
    if (takes_gradient(op, c.in, i)) n += c.in[i].numel();
  return n;
}

namespace {

/// Sizes of `s` become `n`; element i along such a dimension is element i mod s of the original.
Tensor with_size(const Tensor& t, std::int64_t s, std::int64_t n) {
  Dims shape = t.shape();
  for (std::int64_t& d : shape)
    if (d == s) d = n;
  Tensor wide = empty(shape, DType::f64);
  const Tensor source = cast(t, DType::f64);
  for_each_index(shape, [&](const Dims& at) {
    Dims from = at;
    for (int d = 0; d < at.size(); ++d) from[d] %= t.shape()[d];
    set_value(wide, at, value_at(source, from));
  });
  return cast(wide, t.dtype());
}

std::vector<std::int64_t> sizes_in(const std::vector<Tensor>& in) {
  std::vector<std::int64_t> sizes;
  for (const Tensor& t : in)
    for (std::int64_t d : t.defined() ? t.shape() : Dims{})
      if (d > 1 && std::find(sizes.begin(), sizes.end(), d) == sizes.end()) sizes.push_back(d);
  return sizes;
}

}  // namespace

std::vector<Case> resized(const OpInfo& op, const std::vector<Case>& cases, std::int64_t n,
                          std::int64_t budget) {
  std::vector<Case> found;
  std::vector<std::string> notes;  // of the same name, with the same shapes, in another round
  for (const Case& c : cases) {
    if (!c.at_kink.empty()) continue;
    std::string name = c.note;
    for (const Tensor& t : c.in) name += t.defined() ? t.describe() : "-";
    if (std::find(notes.begin(), notes.end(), name) != notes.end()) continue;
    notes.push_back(name);
    for (std::int64_t s : sizes_in(c.in)) {
      Case r = c;
      std::int64_t elements = 0;
      for (const Tensor& t : r.in) {
        std::int64_t count = t.defined() ? t.numel() : 0;
        for (std::int64_t d : t.defined() ? t.shape() : Dims{}) count = d == s ? count / s * n : count;
        elements += count;
      }
      if (s == n || elements > budget) continue;
      for (Tensor& t : r.in)
        if (t.defined()) t = with_size(t, s, n);
      r.note += fmt::format(" ({} instead of {})", n, s);
      try {
        evaluate(op, r.in, r.attrs.get());
      } catch (const Error&) {
        continue;  // tied to another size, to attributes or to what stands in the inputs
      }
      found.push_back(std::move(r));
    }
  }
  return found;
}

std::vector<Tensor> grown(const OpInfo& op, const Case& c, std::int64_t factor) {
  std::vector<Tensor> big = c.in;
  for (Tensor& t : big) {
    if (!t.defined()) continue;
    Dims shape = t.shape();
    for (std::int64_t& d : shape)
      if (d > 1) d *= factor;
    Tensor r = empty(shape, t.dtype());
    // Each copy of the original fills one window: elements d, d + size, d + 2 size, ... of every dimension
    // repeat.
    Dims copies = shape, window = r.strides();
    for (int d = 0; d < shape.size(); ++d) {
      copies[d] = t.shape()[d] > 1 ? factor : 1;
      window[d] *= t.shape()[d];
    }
    for_each_index(t.numel() == 0 ? Dims{0} : copies, [&](const Dims& at) {
      std::int64_t offset = 0;
      for (int d = 0; d < at.size(); ++d) offset += at[d] * window[d];
      kernels::copy(t.view(), alias(r, offset, t.shape(), r.strides()).mutable_view());
    });
    t = r;
  }
  try {
    evaluate(op, big, c.attrs.get());
  } catch (const Error&) {
    return {};
  }
  return big;
}

double relative_error(const Tensor& got, const Tensor& want, double scale) {
  const std::vector<double> a = values(got), b = values(want);
  double worst = 0;
  for (double v : b)
    if (std::isfinite(v)) scale = std::fmax(scale, std::fabs(v));
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double error = std::fabs(a[i] - b[i]);
    if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
    worst = std::fmax(worst, error);
  }
  return worst == 0 ? 0 : scale > 0 ? worst / scale : std::numeric_limits<double>::infinity();
}

std::string code_of(const OpInfo& op, const Case& c) {
  std::int64_t elements = 0;
  for (const Tensor& t : c.in) elements += t.defined() ? t.numel() : 0;
  std::string in;
  for (std::size_t i = 0; i < c.in.size(); ++i) {
    in += i ? ", " : "";
    in += elements <= 96
              ? to_code(c.in[i])
              : fmt::format("check::cases_of(op, {{.tier = check::Tier::full}})[{}].in[{}]", c.index, i);
  }
  const std::string attrs =
      !c.attrs_code.empty() ? c.attrs_code
      : c.attrs ? fmt::format("check::cases_of(op, {{.tier = check::Tier::full}})[{}].attrs.get()", c.index)
                : "nullptr";
  return fmt::format(
      "  const OpInfo& op = *find_op(\"{}\");  // of your own op: const OpInfo op = describe<YourOp>();\n"
      "  const std::vector<Tensor> in{{{}}};{}\n"
      "  Tensor out[4];\n"
      "  apply(*op.def, in.data(), {}, {}, Loc::here(), out);",
      op.name(), in, c.note.empty() ? "" : "  // " + c.note, c.in.size(), attrs);
}

}  // namespace thalweg::check

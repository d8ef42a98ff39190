// cat and stack. Depends on functions.hpp, kernels/copy, structured/dims, fmt.
// Invariant: where only some inputs want a gradient, cat needs sizes in its attributes: the others leave no
// trace.
#include <thalweg/ops/structured/shape.hpp>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

constexpr int max_inputs = 65535;  // a node counts its inputs in 16 bits

std::string input(int i) { return fmt::format("input {}", i); }

/// Whether input i exists; the mask of Ins ends at 64, beyond which a missing one has no memory and no
/// dimension.
bool present(const Ins& in, int i) {
  return i < 64 ? in.has(i) : in[i].data != nullptr || !in[i].shape.empty();
}

}  // namespace

Cat::Attrs Cat::Attrs::of(std::int64_t dim, std::span<const Tensor> in) {
  Attrs t{dim, {}};
  std::size_t wanting = 0;
  for (const Tensor& x : in) wanting += x.requires_grad() ? 1 : 0;
  if (wanting == 0 || wanting == in.size()) return t;
  t.sizes.reserve(in.size());
  for (const Tensor& x : in) {
    const int rank = x.defined() ? x.dim() : 0;
    const std::int64_t d = dim < 0 ? dim + rank : dim;
    t.sizes.push_back(d >= 0 && d < rank ? x.shape()[static_cast<int>(d)] : 0);
  }
  return t;
}

void Cat::infer(const Ins& in, const Attrs& t, Outs& out) {
  if (in.size() < 1 || in.size() > max_inputs)
    in.fail<ValueError>("inputs", fmt::format("{}", in.size()), fmt::format("1 to {} tensors", max_inputs),
                        "wrong number of inputs");
  for (int i = 0; i < in.size(); ++i)
    if (!present(in, i)) in.fail<ValueError>(input(i).c_str(), "undefined", "a tensor", "undefined tensor");
  const int d = resolve_dim(in, t.dim, in[0].shape.size());
  Dims shape = in[0].shape;
  shape[d] = 0;
  for (int i = 0; i < in.size(); ++i) {
    if (in[i].dtype != in[0].dtype)
      in.fail<DTypeError>(input(i).c_str(), describe(in[i]), name(in[0].dtype),
                          "inputs of different dtypes; use to()");
    Dims same = in[i].shape;
    if (same.size() == shape.size()) same[d] = shape[d];
    if (!(same == shape))
      in.fail<ShapeError>(input(i).c_str(), describe(in[i]),
                          fmt::format("the shape of {} but for dimension {}", describe(in[0]), d),
                          "shapes differ");
    if (__builtin_add_overflow(shape[d], in[i].shape[d], &shape[d]))
      in.fail<ShapeError>(input(i).c_str(), describe(in[i]), "fewer than 2^63 elements", "size overflows");
  }
  bool fits = t.sizes.empty() || static_cast<int>(t.sizes.size()) == in.size();
  for (int i = 0; fits && i < static_cast<int>(t.sizes.size()); ++i)
    fits = t.sizes[static_cast<std::size_t>(i)] == in[i].shape[d];
  if (!fits)
    in.fail<ValueError>("sizes", fmt::format("{} sizes", t.sizes.size()),
                        "the inputs' sizes along dim; Attrs::of()", "wrong sizes");
  out.add(in[0].dtype, shape);
}

void Cat::run(const Ins& in, const View* out, const Attrs& t) {
  const int rank = out[0].shape.size(), d = static_cast<int>(t.dim < 0 ? t.dim + rank : t.dim);
  if (numel(out[0]) == 0) return;
  View part = out[0];
  for (int i = 0; i < in.size(); ++i) {
    part.shape[d] = in[i].shape[d];
    if (part.shape[d] == 0) continue;
    kernels::copy(in[i], part);
    part.data =
        part.as<char>() + part.shape[d] * part.strides[d] * static_cast<std::int64_t>(itemsize(part.dtype));
  }
}

void Cat::vjp(Vjp& v, const Attrs& t) {
  const Tensor g = v.g();
  const int d = static_cast<int>(t.dim < 0 ? t.dim + g.dim() : t.dim);
  std::int64_t at = 0;
  for (int i = 0; i < v.n_in(); ++i) {
    const bool attached = v.node().edges()[i].node != nullptr;
    if (t.sizes.empty() && !attached)
      throw_error<GraphError>({.op = row.name,
                               .arg = input(i),
                               .given = "no gradient and no size",
                               .wanted = "sizes in the attributes, as cat() fills in",
                               .what = "cannot cut the gradient",
                               .loc = v.node().loc});
    const std::int64_t size = t.sizes.empty() ? v.in_meta(i).shape[d] : t.sizes[static_cast<std::size_t>(i)];
    // Inputs from 63 on share the last bit of the mask, so their edges are looked at too.
    if (attached && v.needs(i < 63 ? i : 63)) v.set(i, slice(g, d, at, at + size));
    at += size;
  }
}

References Cat::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim(), d = static_cast<int>((t.dim + rank) % rank);
  Dims shape = in[0].shape();
  for (std::size_t i = 1; i < in.size(); ++i) shape[d] += in[i].shape()[d];
  Tensor y = zeros(shape, DType::f64);
  std::int64_t at = 0;
  for (const Tensor& x : in) {
    for_each_index(x.shape(), [&](const Dims& index) {
      Dims to = index;
      to[d] += at;
      set_value(y, to, value_at(x, index));
    });
    at += x.shape()[d];
  }
  return {y};
}

void Cat::samples(SampleList& s) {
  s.add({s.normal({2, 3}), s.normal({1, 3})});
  s.add({s.normal({2, 1}), s.normal({2, 3}), s.normal({2, 2})}, Attrs{-1, {1, 3, 2}}, "three, last dim");
  s.add({s.normal({2, 3})}, Attrs{1, {}}, "one");
  s.add({s.normal({0, 3}), s.normal({2, 3})}, Attrs{0, {}}, "an empty one");
}

void Cat::errors(ErrorList& e) {
  const Tensor a = zeros({2, 3});
  e.add<ShapeError>(
      {a, zeros({2, 4})},
      "cat: shapes differ: input 1 is f32[2,4], wanted the shape of f32[2,3] but for dimension 0",
      "ShapeError");
  e.add<ShapeError>({a, zeros({3})}, "shapes differ", "ShapeError");
  e.add<DTypeError>({a, zeros({2, 3}, DType::f64)}, "cat: inputs of different dtypes", "DTypeError");
  e.add<IndexError>({a, a}, Attrs{2, {}}, "cat: dimension out of range: dim is 2, wanted -2 to 1",
                    "IndexError");
  e.add<IndexError>({a, a}, Attrs{INT64_MIN, {}}, "out of range", "IndexError");
  e.add<IndexError>({zeros({}), zeros({})}, "0-d", "IndexError");
  e.add<ValueError>({a, Tensor()}, "cat: undefined tensor: input 1", "ValueError");
  e.add<ValueError>({a, a}, Attrs{0, {2, 3}}, "wrong sizes", "ValueError");
  e.add<ValueError>({a, a}, Attrs{0, {2}}, "wrong sizes", "ValueError");
  e.add<ValueError>(std::vector<Tensor>{}, "cat: wrong number of inputs", "ValueError");
}

Tensor Stack::compose(const Tensor* in, int n, const Attrs& t, Loc loc) {
  const Ins ins{row.name, loc, n, nullptr, 0};
  if (n < 1 || n > max_inputs)
    ins.fail<ValueError>("inputs", fmt::format("{}", n), fmt::format("1 to {} tensors", max_inputs),
                         "wrong number of inputs");
  std::vector<Tensor> parts;
  for (int i = 0; i < n; ++i) {
    if (!in[i].defined()) ins.fail<ValueError>(input(i).c_str(), "undefined", "a tensor", "undefined tensor");
    if (in[i].dtype() != in[0].dtype())
      ins.fail<DTypeError>(input(i).c_str(), in[i].describe(), name(in[0].dtype()),
                           "inputs of different dtypes; use to()");
    if (!(in[i].shape() == in[0].shape()))
      ins.fail<ShapeError>(input(i).c_str(), in[i].describe(), in[0].describe(), "shapes differ");
  }
  const int d = resolve_dim(ins, t.dim, in[0].dim() + 1);
  for (int i = 0; i < n; ++i) parts.push_back(unsqueeze({in[i], loc}, d));
  return cat(parts, d, loc);
}

References Stack::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim() + 1, d = static_cast<int>((t.dim + rank) % rank);
  Dims shape = in[0].shape();
  shape.insert(d, static_cast<std::int64_t>(in.size()));
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    at.erase(d);
    set_value(y, index, value_at(in[static_cast<std::size_t>(index[d])], at));
  });
  return {y};
}

void Stack::samples(SampleList& s) {
  s.add({s.normal({2, 3}), s.normal({2, 3})});
  s.add({s.normal({2, 3}), s.normal({2, 3}), s.normal({2, 3})}, Attrs{-1}, "last");
  s.add({s.normal({}), s.normal({})}, Attrs{0}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{1}, "empty");
}

void Stack::errors(ErrorList& e) {
  const Tensor a = zeros({2, 3});
  e.add<ShapeError>({a, zeros({2, 4})}, "stack: shapes differ: input 1 is f32[2,4], wanted f32[2,3]",
                    "ShapeError");
  e.add<DTypeError>({a, zeros({2, 3}, DType::f64)}, "stack: inputs of different dtypes", "DTypeError");
  e.add<IndexError>({a, a}, Attrs{3}, "stack: dimension out of range: dim is 3, wanted -3 to 2",
                    "IndexError");
  e.add<IndexError>({a, a}, Attrs{INT64_MIN}, "out of range", "IndexError");
  e.add<ValueError>({a, Tensor()}, "stack: undefined tensor: input 1", "ValueError");
  e.add<ValueError>(std::vector<Tensor>{}, "stack: wrong number of inputs", "ValueError");
}

}  // namespace thalweg::ops

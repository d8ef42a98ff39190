// View ops: new geometry on the same memory. Depends on functions.hpp, structured/dims, fmt.
// Invariant: whatever could overflow or fail is checked in view(), so vjps need no checks.
#include <thalweg/ops/structured/shape.hpp>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {

// ---- expand ----

namespace {

void check_size(const Ins& in, const Dims& shape) {
  std::int64_t n = static_cast<std::int64_t>(itemsize(in[0].dtype));
  for (std::int64_t d : shape)
    if (d != 0 && __builtin_mul_overflow(n, d, &n))
      in.fail<ShapeError>("shape", to_string(shape), "fewer than 2^63 bytes", "size overflows");
}

}  // namespace

ViewSpec Expand::view(const Ins& in, const Attrs& t) {
  const Dims& from = in[0].shape;
  const int lead = t.shape.size() - from.size();
  if (lead < 0)
    in.fail<ShapeError>("shape", to_string(t.shape), fmt::format("{} dimensions or more", from.size()),
                        "fewer dimensions than " + describe(in[0]));
  ViewSpec spec{0, t.shape, Dims::filled(t.shape.size(), 0)};
  for (int d = 0; d < t.shape.size(); ++d) {
    const std::int64_t own = d < lead ? 1 : from[d - lead];
    if (spec.shape[d] == -1 && d >= lead) spec.shape[d] = own;
    if (spec.shape[d] < 0 || (own != 1 && spec.shape[d] != own))
      in.fail<ShapeError>("shape", to_string(t.shape),
                          fmt::format("sizes that x repeats to; x is {}", describe(in[0])),
                          fmt::format("dimension {} cannot be repeated", d));
    if (d >= lead && spec.shape[d] == own) spec.strides[d] = in[0].strides[d - lead];
  }
  check_size(in, spec.shape);
  return spec;
}

void Expand::vjp(Vjp& v, const Attrs&) {
  const Dims& shape = v.in_meta(0).shape;
  const Dims repeated = repeated_dims(shape, v.out_meta().shape);
  if (repeated.empty()) return v.set(0, v.g());
  const Tensor g = sum(v.g(), {.dims = repeated, .keepdim = true});
  v.set(0, g.shape() == shape ? g : reshape(g, shape));
}

References Expand::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Tensor& x = in[0];
  const int lead = t.shape.size() - x.dim();
  Dims shape = t.shape;
  for (int d = lead; d < shape.size(); ++d)
    if (shape[d] == -1) shape[d] = x.shape()[d - lead];
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at;
    for (int d = 0; d < x.dim(); ++d) at.push_back(x.shape()[d] == 1 ? 0 : index[lead + d]);
    set_value(y, index, value_at(x, at));
  });
  return {y};
}

void Expand::samples(SampleList& s) {
  s.add({s.normal({1, 3})}, Attrs{{4, 3}});
  s.add({s.normal({3, 1})}, Attrs{{2, -1, 4}}, "leading dim, -1");
  s.add({s.normal({2, 3})}, Attrs{{2, 3}}, "nothing repeated");
  s.add({s.normal({2, 3})}, Attrs{{1, 2, 3}}, "leading 1");
  s.add({s.normal({})}, Attrs{{2, 3}}, "0-d");
  s.add({s.normal({1, 3})}, Attrs{{0, 3}}, "repeated no times");
  s.add({s.normal({0, 3})}, Attrs{{2, 0, 3}}, "empty");
}

void Expand::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<ShapeError>({x}, Attrs{{4, 3}}, "expand: dimension 0 cannot be repeated: shape is [4,3]",
                    "ShapeError");
  e.add<ShapeError>({x}, Attrs{{3}}, "expand: fewer dimensions than f32[2,3]", "ShapeError");
  e.add<ShapeError>({x}, Attrs{{-1, 2, 3}}, "cannot be repeated", "ShapeError");
  e.add<ShapeError>({x}, Attrs{{INT64_MIN, 3}}, "cannot be repeated", "ShapeError");
  e.add<ShapeError>({zeros({1, 1})}, Attrs{{INT64_MAX, 2}}, "expand: size overflows", "ShapeError");
  e.add<ValueError>({Tensor()}, Attrs{{1}}, "undefined tensor", "ValueError");
}

// ---- squeeze, unsqueeze ----

ViewSpec Squeeze::view(const Ins& in, const Attrs& t) {
  const Dims dims = resolve_dims(in, t.dims, in[0].shape.size());
  ViewSpec spec;
  for (int d = 0; d < in[0].shape.size(); ++d) {
    if (in[0].shape[d] == 1 && dims.contains(d)) continue;
    spec.shape.push_back(in[0].shape[d]);
    spec.strides.push_back(in[0].strides[d]);
  }
  return spec;
}

void Squeeze::vjp(Vjp& v, const Attrs&) { v.set(0, reshape(v.g(), v.in_meta(0).shape)); }

References Squeeze::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Dims shape;
  for (int d = 0; d < in[0].dim(); ++d)
    if (in[0].shape()[d] != 1 || !resolved(t.dims, in[0].dim()).contains(d))
      shape.push_back(in[0].shape()[d]);
  return {in_shape(in[0], shape)};
}

void Squeeze::samples(SampleList& s) {
  s.add({s.normal({1, 3, 1})});
  s.add({s.normal({1, 3, 1})}, Attrs{{-1}}, "one dim");
  s.add({s.normal({2, 3})}, Attrs{{0}}, "stays");
  s.add({s.normal({1, 1})}, Attrs{{0, 1}}, "to 0-d");
  s.add({s.normal({})}, Attrs{}, "0-d");
  s.add({s.normal({1, 0})}, Attrs{{0}}, "empty");
}

void Squeeze::errors(ErrorList& e) {
  e.add<IndexError>({zeros({1, 3})}, Attrs{{2}}, "squeeze: dimension out of range: dims is 2, wanted -2 to 1",
                    "IndexError");
  e.add<IndexError>({zeros({1, 3})}, Attrs{{INT64_MIN}}, "out of range", "IndexError");
  e.add<ValueError>({zeros({1, 3})}, Attrs{{0, -2}}, "twice", "ValueError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

ViewSpec Unsqueeze::view(const Ins& in, const Attrs& t) {
  const int rank = in[0].shape.size();
  const int d = resolve_dim(in, t.dim, rank + 1);
  ViewSpec spec{0, in[0].shape, in[0].strides};
  if (rank == max_dims)
    in.fail<ShapeError>("x", describe(in[0]), fmt::format("at most {} dimensions", max_dims - 1),
                        "no room for a dimension");
  spec.shape.insert(d, 1);
  spec.strides.insert(d, 1);
  return spec;
}

void Unsqueeze::vjp(Vjp& v, const Attrs&) { v.set(0, reshape(v.g(), v.in_meta(0).shape)); }

References Unsqueeze::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Dims shape = in[0].shape();
  shape.insert(static_cast<int>(t.dim < 0 ? t.dim + in[0].dim() + 1 : t.dim), 1);
  return {in_shape(in[0], shape)};
}

void Unsqueeze::samples(SampleList& s) {
  s.add({s.normal({2, 3})}, Attrs{0});
  s.add({s.normal({2, 3})}, Attrs{1});
  s.add({s.normal({2, 3})}, Attrs{-1}, "last");
  s.add({s.normal({})}, Attrs{0}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{1}, "empty");
}

void Unsqueeze::errors(ErrorList& e) {
  e.add<IndexError>({zeros({2, 3})}, Attrs{3}, "unsqueeze: dimension out of range: dim is 3, wanted -3 to 2",
                    "IndexError");
  e.add<IndexError>({zeros({2, 3})}, Attrs{INT64_MIN}, "out of range", "IndexError");
  e.add<ShapeError>({zeros({1, 1, 1, 1, 1, 1, 1, 1})}, Attrs{0}, "unsqueeze: no room", "ShapeError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

// ---- transpose, permute ----

ViewSpec Transpose::view(const Ins& in, const Attrs& t) {
  const int rank = in[0].shape.size();
  const int a = resolve_dim(in, t.dim0, rank, "dim0"), b = resolve_dim(in, t.dim1, rank, "dim1");
  ViewSpec spec{0, in[0].shape, in[0].strides};
  std::swap(spec.shape[a], spec.shape[b]);
  std::swap(spec.strides[a], spec.strides[b]);
  return spec;
}

void Transpose::vjp(Vjp& v, const Attrs& t) {
  v.set(0, transpose(v.g(), static_cast<int>(t.dim0), static_cast<int>(t.dim1)));
}

References Transpose::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim();
  const int a = static_cast<int>((t.dim0 + rank) % rank), b = static_cast<int>((t.dim1 + rank) % rank);
  Dims shape = in[0].shape();
  std::swap(shape[a], shape[b]);
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    std::swap(at[a], at[b]);
    set_value(y, index, value_at(in[0], at));
  });
  return {y};
}

void Transpose::samples(SampleList& s) {
  s.add({s.normal({3, 4})});
  s.add({s.normal({2, 3, 4})}, Attrs{0, -1}, "outer dims");
  s.add({s.normal({2, 3})}, Attrs{1, 1}, "same dim");
  s.add({s.normal({0, 3})}, Attrs{}, "empty");
  s.add({s.normal({2, 2, 2})}, Attrs{}, "cube");  // the wrong dims have the right shape
}

void Transpose::errors(ErrorList& e) {
  e.add<IndexError>({zeros({2, 3})}, Attrs{0, 2},
                    "transpose: dimension out of range: dim1 is 2, wanted -2 to 1", "IndexError");
  e.add<IndexError>({zeros({2, 3})}, Attrs{INT64_MIN, 0}, "out of range", "IndexError");
  e.add<IndexError>({zeros({})}, Attrs{0, 0}, "0-d", "IndexError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

ViewSpec Permute::view(const Ins& in, const Attrs& t) {
  const int rank = in[0].shape.size();
  if (t.order.size() != rank)
    in.fail<ShapeError>("order", to_string(t.order),
                        fmt::format("each of the {} dimensions of {} once", rank, describe(in[0])),
                        "wrong number of dimensions");
  ViewSpec spec;
  bool used[max_dims] = {};
  for (std::int64_t d : t.order) {
    const int r = resolve_dim(in, d, rank, "order");
    if (used[r])
      in.fail<ValueError>("order", to_string(t.order), "each dimension once", "a dimension is named twice");
    used[r] = true;
    spec.shape.push_back(in[0].shape[r]);
    spec.strides.push_back(in[0].strides[r]);
  }
  return spec;
}

void Permute::vjp(Vjp& v, const Attrs& t) {
  const int rank = t.order.size();
  Dims back = Dims::filled(rank, 0);
  for (int d = 0; d < rank; ++d) back[static_cast<int>(t.order[d] < 0 ? t.order[d] + rank : t.order[d])] = d;
  v.set(0, permute(v.g(), back));
}

References Permute::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim();
  Dims order, shape;
  for (std::int64_t d : t.order) order.push_back((d + rank) % rank);
  for (std::int64_t d : order) shape.push_back(in[0].shape()[static_cast<int>(d)]);
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    for (int d = 0; d < rank; ++d) at[static_cast<int>(order[d])] = index[d];
    set_value(y, index, value_at(in[0], at));
  });
  return {y};
}

void Permute::samples(SampleList& s) {
  s.add({s.normal({2, 3, 4})}, Attrs{{2, 0, 1}});
  s.add({s.normal({2, 3, 4, 5})}, Attrs{{0, -2, 3, 1}}, "negative");
  s.add({s.normal({})}, Attrs{}, "0-d");
  s.add({s.normal({2, 0, 3})}, Attrs{{1, 2, 0}}, "empty");
  s.add({s.normal({2, 2, 2})}, Attrs{{1, 2, 0}}, "cube");  // the inverse has the same shape
}

void Permute::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3, 4});
  e.add<ShapeError>({x}, Attrs{{0, 1}}, "permute: wrong number of dimensions: order is [0,1]", "ShapeError");
  e.add<IndexError>({x}, Attrs{{0, 1, 3}}, "permute: dimension out of range: order is 3, wanted -3 to 2",
                    "IndexError");
  e.add<IndexError>({x}, Attrs{{0, 1, INT64_MIN}}, "out of range", "IndexError");
  e.add<ValueError>({x}, Attrs{{0, 1, -2}}, "twice", "ValueError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

}  // namespace thalweg::ops

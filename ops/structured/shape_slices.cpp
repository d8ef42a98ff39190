// slice, slice_backward and select. Depends on functions.hpp, kernels/copy, structured/dims, fmt.
// Invariant: slice and slice_backward take the same range from the same attributes (slice_range).
#include <thalweg/ops/structured/shape.hpp>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {

SliceRange slice_range(std::int64_t size, const Slice::Attrs& t) noexcept {
  const auto clipped = [size](std::int64_t p) {
    if (p < 0) p += size;
    return p < 0 ? 0 : p > size ? size : p;
  };
  const std::int64_t start = clipped(t.start), end = clipped(t.end);
  if (end <= start) return {0, 0};
  return {start, (end - start - 1) / t.step + 1};
}

namespace {

/// Checks the dimension and the step, and returns the dimension.
int checked_dim(const Ins& in, const Slice::Attrs& t, int rank) {
  const int d = resolve_dim(in, t.dim, rank);
  if (t.step < 1)
    in.fail<ValueError>("step", fmt::format("{}", t.step), "1 or more",
                        "step must be positive; flip() reverses");
  return d;
}

/// The part of `whole` that a slice shows: offset in elements, shape and strides.
ViewSpec part(const Dims& shape, const Dims& strides, int d, const Slice::Attrs& t) {
  const SliceRange r = slice_range(shape[d], t);
  ViewSpec spec{r.start * strides[d], shape, strides};
  spec.shape[d] = r.count;
  if (r.count > 1) spec.strides[d] = strides[d] * t.step;
  return spec;
}

Tensor slice(const Tensor& x, const Slice::Attrs& t) {
  return thalweg::slice(x, static_cast<int>(t.dim), t.start, t.end, t.step);
}

}  // namespace

ViewSpec Slice::view(const Ins& in, const Attrs& t) {
  return part(in[0].shape, in[0].strides, checked_dim(in, t, in[0].shape.size()), t);
}

void Slice::vjp(Vjp& v, const Attrs& t) {
  const Dims& shape = v.in_meta(0).shape;
  const int d = static_cast<int>(t.dim < 0 ? t.dim + shape.size() : t.dim);
  v.set(0, slice_backward(v.g(), shape[d], d, t.start, t.end, t.step));
}

References Slice::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim(), d = static_cast<int>((t.dim + rank) % rank);
  const std::int64_t size = in[0].shape()[d];
  std::vector<std::int64_t> taken;
  const std::int64_t first = t.start < 0 ? std::max<std::int64_t>(t.start + size, 0) : t.start;
  const std::int64_t last = t.end < 0 ? t.end + size : std::min(t.end, size);
  for (std::int64_t i = first; i < last; i += t.step) taken.push_back(i);
  Dims shape = in[0].shape();
  shape[d] = static_cast<std::int64_t>(taken.size());
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    at[d] = taken[static_cast<std::size_t>(index[d])];
    set_value(y, index, value_at(in[0], at));
  });
  return {y};
}

void Slice::samples(SampleList& s) {
  s.add({s.normal({5, 3})}, Attrs{0, 1, 4});
  s.add({s.normal({2, 7})}, Attrs{-1, 1, to_end, 2}, "step");
  s.add({s.normal({6})}, Attrs{0, -4, -1}, "negative positions");
  s.add({s.normal({4, 2})}, Attrs{0, -9, 9, 3}, "cut to the size");
  s.add({s.normal({4, 2})}, Attrs{0, 3, 1}, "nothing");
  s.add({s.normal({3, 0})}, Attrs{0, 1, 2}, "empty");
}

void Slice::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{2, 0, 1}, "slice: dimension out of range: dim is 2, wanted -2 to 1",
                    "IndexError");
  e.add<IndexError>({x}, Attrs{INT64_MIN, 0, 1}, "out of range", "IndexError");
  e.add<IndexError>({zeros({})}, Attrs{0, 0, 1}, "0-d", "IndexError");
  e.add<ValueError>({x}, Attrs{0, 0, 2, 0}, "slice: step must be positive", "ValueError");
  e.add<ValueError>({x}, Attrs{0, 0, 2, INT64_MIN}, "step must be positive", "ValueError");
  e.add<ValueError>({Tensor()}, "slice: undefined tensor", "ValueError");
}

// ---- slice_backward ----

void SliceBackward::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "g");
  const int d = checked_dim(in, t.slice, in[0].shape.size());
  Dims shape = in[0].shape;
  shape[d] = t.size;
  std::int64_t bytes = static_cast<std::int64_t>(itemsize(in[0].dtype));
  for (std::int64_t n : shape)
    if (n < 0 || (n != 0 && __builtin_mul_overflow(bytes, n, &bytes)))
      in.fail<ShapeError>("size", fmt::format("{}", t.size), "0 or more, and fewer than 2^63 bytes in all",
                          "no such size");
  const std::int64_t count = slice_range(t.size, t.slice).count;
  if (in[0].shape[d] != count)
    in.fail<ShapeError>("g", describe(in[0]), fmt::format("{} elements along dimension {}", count, d),
                        fmt::format("not the shape of that slice of {} elements", t.size));
  out.add(in[0].dtype, shape);
}

void SliceBackward::run(const Ins& in, const View* out, const Attrs& t) {
  const int rank = out[0].shape.size();
  const int d = static_cast<int>(t.slice.dim < 0 ? t.slice.dim + rank : t.slice.dim);
  const ViewSpec p = part(out[0].shape, out[0].strides, d, t.slice);
  Dims corner = Dims::filled(rank, 0);
  corner[d] = slice_range(t.size, t.slice).start;
  if (t.slice.step == 1)
    kernels::fill_around(out[0], corner, p.shape, 0);
  else
    kernels::fill(out[0], 0);
  if (numel(p.shape) == 0) return;
  char* first = out[0].as<char>() + p.offset * static_cast<std::int64_t>(itemsize(out[0].dtype));
  kernels::copy(in[0], {first, out[0].dtype, p.shape, p.strides});
}

void SliceBackward::vjp(Vjp& v, const Attrs& t) { v.set(0, slice(v.g(), t.slice)); }

References SliceBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim(), d = static_cast<int>((t.slice.dim + rank) % rank);
  const std::int64_t first =
      t.slice.start < 0 ? std::max<std::int64_t>(t.slice.start + t.size, 0) : t.slice.start;
  Dims shape = in[0].shape();
  shape[d] = t.size;
  Tensor y = zeros(shape, DType::f64);
  for_each_index(in[0].shape(), [&](const Dims& index) {
    Dims to = index;
    to[d] = first + index[d] * t.slice.step;
    set_value(y, to, value_at(in[0], index));
  });
  return {y};
}

void SliceBackward::samples(SampleList& s) {
  s.add({s.normal({3, 3})}, Attrs{5, {0, 1, 4}});
  s.add({s.normal({2, 3})}, Attrs{7, {-1, 1, to_end, 2}}, "step");
  s.add({s.normal({2, 2})}, Attrs{4, {0, -9, 9, 3}}, "cut to the size");
  s.add({s.normal({0, 2})}, Attrs{4, {0, 3, 1}}, "nothing");
  s.add({s.normal({2, 1, 3})}, Attrs{3, {1, -2, -1}}, "one of three");
}

void SliceBackward::errors(ErrorList& e) {
  const Tensor g = zeros({2, 3});
  e.add<ShapeError>({g}, Attrs{5, {0, 1, 4}},
                    "slice_backward: not the shape of that slice of 5 elements: g is f32[2,3], wanted 3 "
                    "elements along dimension 0",
                    "ShapeError");
  e.add<ShapeError>({g}, Attrs{-5, {0, 1, 4}}, "no such size", "ShapeError");
  e.add<ShapeError>({g}, Attrs{INT64_MAX, {0, 0, 2}}, "no such size", "ShapeError");
  e.add<IndexError>({g}, Attrs{5, {2, 0, 2}}, "out of range", "IndexError");
  e.add<ValueError>({g}, Attrs{5, {0, 0, 2, 0}}, "step must be positive", "ValueError");
  e.add<ValueError>({Tensor()}, Attrs{5, {0, 0, 2}}, "undefined tensor", "ValueError");
}

// ---- select ----

ViewSpec Select::view(const Ins& in, const Attrs& t) {
  const int d = resolve_dim(in, t.dim, in[0].shape.size());
  const std::int64_t size = in[0].shape[d];
  const std::int64_t i = t.index < 0 ? t.index + size : t.index;
  if (i < 0 || i >= size)
    in.fail<IndexError>(
        "index", fmt::format("{}", t.index),
        size == 0 ? std::string("none: the dimension is empty") : fmt::format("{} to {}", -size, size - 1),
        "index out of range");
  ViewSpec spec{i * in[0].strides[d], in[0].shape, in[0].strides};
  spec.shape.erase(d);
  spec.strides.erase(d);
  return spec;
}

void Select::vjp(Vjp& v, const Attrs& t) {
  const Dims& shape = v.in_meta(0).shape;
  const int d = static_cast<int>(t.dim < 0 ? t.dim + shape.size() : t.dim);
  const std::int64_t i = t.index < 0 ? t.index + shape[d] : t.index;
  v.set(0, slice_backward(unsqueeze(v.g(), d), shape[d], d, i, i + 1));
}

References Select::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim(), d = static_cast<int>((t.dim + rank) % rank);
  Dims shape = in[0].shape();
  const std::int64_t i = (t.index + shape[d]) % shape[d];
  shape.erase(d);
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    at.insert(d, i);
    set_value(y, index, value_at(in[0], at));
  });
  return {y};
}

void Select::samples(SampleList& s) {
  s.add({s.normal({3, 4})}, Attrs{0, 1});
  s.add({s.normal({2, 3, 4})}, Attrs{-1, -2}, "negative");
  s.add({s.normal({3})}, Attrs{0, 2}, "to 0-d");
  s.add({s.normal({0, 3})}, Attrs{1, 0}, "empty");
}

void Select::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{2, 0}, "select: dimension out of range: dim is 2, wanted -2 to 1",
                    "IndexError");
  e.add<IndexError>({x}, Attrs{1, 3}, "select: index out of range: index is 3, wanted -3 to 2", "IndexError");
  e.add<IndexError>({x}, Attrs{1, INT64_MIN}, "index out of range", "IndexError");
  e.add<IndexError>({zeros({0})}, Attrs{0, 0}, "the dimension is empty", "IndexError");
  e.add<ValueError>({Tensor()}, "select: undefined tensor", "ValueError");
}

}  // namespace thalweg::ops

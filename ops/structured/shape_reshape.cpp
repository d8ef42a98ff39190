// view, reshape, reshape_copy, flatten: the same elements in another shape. Depends on functions.hpp,
// kernels/copy, fmt. Invariant: reshape records exactly one node, a view where strides allow it, else a copy.
#include <thalweg/ops/structured/shape.hpp>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {

Dims resolve_shape(const Ins& in, const Dims& wanted) {
  Dims shape = wanted;
  int open = -1;
  std::int64_t known = 1, nonzero = 1;
  const auto refuse = [&](const char* what) {
    in.fail<ShapeError>("shape", to_string(wanted),
                        fmt::format("a shape of the elements of {}", describe(in[0])), what);
  };
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == -1 && open >= 0) refuse("more than one size is -1");
    if (shape[d] < -1) refuse("negative size");
    if (shape[d] == -1) {
      open = d;
      continue;
    }
    if (shape[d] == 0)
      known = 0;
    else if (__builtin_mul_overflow(nonzero, shape[d], &nonzero))
      refuse("size overflows");
  }
  known *= nonzero;
  const std::int64_t n = numel(in[0]);
  if (open >= 0) {
    if (known == 0) refuse("-1 beside a size of 0 could be anything");
    if (n % known != 0) refuse("number of elements does not divide");
    shape[open] = n / known;
  } else if (known != n) {
    refuse("another number of elements");
  }
  return shape;
}

bool view_strides(const Dims& shape, const Dims& strides, const Dims& wanted, Dims& result) noexcept {
  result = contiguous_strides(wanted);
  if (numel(shape) == 0) return true;
  // Walk both shapes from the inside; a run of old dimensions that is dense by itself may be cut anew.
  int to = wanted.size() - 1;
  int from = shape.size() - 1;
  while (from >= 0) {
    std::int64_t inner = strides[from];
    std::int64_t extent = shape[from];
    while (from > 0 && (shape[from - 1] == 1 || extent == 1 || strides[from - 1] == extent * inner)) {
      --from;
      if (extent == 1) inner = strides[from];
      extent *= shape[from];
    }
    std::int64_t filled = 1;
    while (to >= 0 && (filled < extent || wanted[to] == 1)) {
      result[to] = inner * filled;
      filled *= wanted[to];
      --to;
    }
    if (filled != extent) return false;
    --from;
  }
  return true;
}

Tensor in_shape(const Tensor& x, const Dims& shape) {
  std::vector<double> values;
  for_each_index(x.shape(), [&](const Dims& index) { values.push_back(value_at(x, index)); });
  return from(values, shape);
}

// ---- view ----

ViewSpec ViewAs::view(const Ins& in, const Attrs& t) {
  ViewSpec spec{0, resolve_shape(in, t.shape), {}};
  if (!view_strides(in[0].shape, in[0].strides, spec.shape, spec.strides))
    in.fail<ShapeError>(
        "x", fmt::format("{} with strides {}", describe(in[0]), to_string(in[0].strides)),
        fmt::format("elements laid out so that {} needs no copy; reshape() copies", to_string(spec.shape)),
        "strides do not allow a view");
  return spec;
}

void ViewAs::vjp(Vjp& v, const Attrs&) { v.set(0, reshape(v.g(), v.in_meta(0).shape)); }

References ViewAs::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return Reshape::reference(in, t);
}

void ViewAs::samples(SampleList& s) {
  // Of every layout these can be viewed; shapes that only dense memory allows are reshape's samples.
  s.add({s.normal({2, 3})}, Attrs{{1, 2, 1, 3, 1}});
  s.add({s.normal({2, 3, 1})}, Attrs{{2, -1}}, "-1");
  s.add({s.normal({6})}, Attrs{{3, 2}}, "cut");
  s.add({s.normal({1})}, Attrs{}, "to 0-d");
  s.add({s.normal({})}, Attrs{{1, 1}}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{{3, 0, 2}}, "empty");
}

void ViewAs::errors(ErrorList& e) {
  Reshape::errors(e);
  const Tensor x = zeros({4, 3});
  e.add<ShapeError>({alias(x, 0, {3, 4}, {1, 3})}, Attrs{{12}},
                    "view: strides do not allow a view: x is f32[3,4]", "ShapeError");
}

// ---- reshape_copy ----

void ReshapeCopy::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  out.add(in[0].dtype, resolve_shape(in, t.shape));
}

void ReshapeCopy::run(const Ins& in, const View* out, const Attrs&) {
  View dense = out[0];  // the output's memory, walked in the input's shape
  dense.shape = in[0].shape;
  dense.strides = contiguous_strides(in[0].shape);
  kernels::copy(in[0], dense);
}

void ReshapeCopy::vjp(Vjp& v, const Attrs&) { v.set(0, reshape(v.g(), v.in_meta(0).shape)); }

References ReshapeCopy::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return Reshape::reference(in, t);
}

void ReshapeCopy::samples(SampleList& s) { Reshape::samples(s); }
void ReshapeCopy::errors(ErrorList& e) { Reshape::errors(e); }

// ---- reshape, flatten ----

namespace {

/// View or copy, whichever the strides ask for; `shape` holds no -1.
Tensor reshaped(const Tensor& x, const Dims& shape, Loc loc) {
  Dims strides;
  if (view_strides(x.shape(), x.strides(), shape, strides)) return apply<ViewAs>({shape}, {x, loc});
  return apply<ReshapeCopy>({shape}, {x, loc});
}

}  // namespace

Tensor Reshape::compose(const Tensor* in, int n, const Attrs& t, Loc loc) {
  const ConstView x = in[0].defined() ? in[0].view() : ConstView();
  const Ins ins{row.name, loc, n, &x, in[0].defined() ? 1u : 0u};
  require_present(ins, 0, "x");
  return reshaped(in[0], resolve_shape(ins, t.shape), loc);
}

References Reshape::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Dims shape = t.shape;
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] != -1) continue;
    std::int64_t others = 1;
    for (int k = 0; k < shape.size(); ++k) others *= k == d ? 1 : t.shape[k];
    shape[d] = in[0].numel() / others;
  }
  return {in_shape(in[0], shape)};
}

void Reshape::samples(SampleList& s) {
  s.add({s.normal({3, 4})}, Attrs{{2, 6}});
  s.add({s.normal({2, 3, 4})}, Attrs{{-1, 4}}, "-1");
  s.add({s.normal({2, 3})}, Attrs{{1, 2, 1, 3, 1}}, "ones");
  s.add({s.normal({1})}, Attrs{}, "to 0-d");
  s.add({s.normal({})}, Attrs{{1, 1}}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{{3, 0, 2}}, "empty");
}

void Reshape::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<ShapeError>(
      {x}, Attrs{{4, 2}},
      ": another number of elements: shape is [4,2], wanted a shape of the elements of f32[2,3]",
      "ShapeError");
  e.add<ShapeError>({x}, Attrs{{-1, 4}}, "does not divide", "ShapeError");
  e.add<ShapeError>({x}, Attrs{{-1, -1}}, "more than one", "ShapeError");
  e.add<ShapeError>({x}, Attrs{{-2, 3}}, "negative size", "ShapeError");
  e.add<ShapeError>({x}, Attrs{{INT64_MIN, 3}}, "negative size", "ShapeError");
  e.add<ShapeError>({x}, Attrs{{INT64_MAX, 3}}, "size overflows", "ShapeError");
  e.add<ShapeError>({zeros({0})}, Attrs{{-1, 0}}, "could be anything", "ShapeError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

Tensor Flatten::compose(const Tensor* in, int n, const Attrs& t, Loc loc) {
  const ConstView x = in[0].defined() ? in[0].view() : ConstView();
  const Ins ins{row.name, loc, n, &x, in[0].defined() ? 1u : 0u};
  require_present(ins, 0, "x");
  const int rank = x.shape.size();
  const int start = resolve_dim(ins, t.start, rank ? rank : 1, "start");
  const int end = resolve_dim(ins, t.end, rank ? rank : 1, "end");
  if (start > end)
    ins.fail<ValueError>("end", fmt::format("{}", t.end),
                         fmt::format("a dimension from start = {} on", t.start), "end before start");
  Dims shape;
  for (int d = 0; d < (rank ? rank : 1); ++d) {
    const std::int64_t size = rank ? x.shape[d] : 1;
    if (d <= start || d > end)
      shape.push_back(size);
    else if (__builtin_mul_overflow(shape.back(), size, &shape.back()))  // only beside a size of 0
      ins.fail<ShapeError>("x", describe(x), "sizes whose product is below 2^63", "size overflows");
  }
  return reshaped(in[0], shape, loc);
}

References Flatten::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int rank = in[0].dim();
  if (rank == 0) return {in_shape(in[0], {1})};
  const std::int64_t start = (t.start + rank) % rank, end = (t.end + rank) % rank;
  Dims shape;
  std::int64_t merged = 1;
  for (int d = 0; d < rank; ++d) {
    if (d < start || d > end) {
      shape.push_back(in[0].shape()[d]);
    } else {
      merged *= in[0].shape()[d];
      if (d == end) shape.push_back(merged);
    }
  }
  return {in_shape(in[0], shape)};
}

void Flatten::samples(SampleList& s) {
  s.add({s.normal({2, 3, 2})});
  s.add({s.normal({2, 3, 2})}, Attrs{1, -1}, "from 1");
  s.add({s.normal({2, 3, 2})}, Attrs{0, 1}, "first two");
  s.add({s.normal({2, 3})}, Attrs{-1, -1}, "nothing");
  s.add({s.normal({})}, Attrs{}, "0-d");
  s.add({s.normal({2, 0, 3})}, Attrs{1, 2}, "empty");
}

void Flatten::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{2, -1}, "flatten: dimension out of range: start is 2, wanted -2 to 1",
                    "IndexError");
  e.add<IndexError>({x}, Attrs{0, INT64_MIN}, "out of range", "IndexError");
  e.add<ValueError>({x}, Attrs{1, 0}, "flatten: end before start: end is 0", "ValueError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

}  // namespace thalweg::ops

// clone, cast, flip and pad: ops on one tensor that write every element of a new one. Depends on
// kernels/copy, functions.
#include <thalweg/ops/structured/shape.hpp>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

template <class T>
T* shifted(T* data, std::int64_t elements, DType dtype) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return static_cast<Byte*>(data) + elements * static_cast<std::int64_t>(itemsize(dtype));
}

}  // namespace

// ---- clone ----

void Clone::infer(const Ins& in, const NoAttrs&, Outs& out) {
  require_present(in, 0, "x");
  out.add(in[0].dtype, in[0].shape);
}
void Clone::run(const Ins& in, const View* out, const NoAttrs&) { kernels::copy(in[0], out[0]); }
void Clone::vjp(Vjp& v, const NoAttrs&) { v.set(0, v.g()); }
References Clone::reference(const std::vector<Tensor>& in, const NoAttrs&) {
  return {in_shape(in[0], in[0].shape())};
}

void Clone::samples(SampleList& s) {
  s.add({s.normal({3, 4})});
  s.add({s.normal({})}, NoAttrs{}, "0-d");
  s.add({s.normal({2, 0})}, NoAttrs{}, "empty");
}
void Clone::errors(ErrorList& e) { e.add<ValueError>({Tensor()}, "clone: undefined tensor", "ValueError"); }

// ---- cast ----

void Cast::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  out.add(t.dtype, in[0].shape);
}
void Cast::run(const Ins& in, const View* out, const Attrs&) { kernels::copy(in[0], out[0]); }
void Cast::vjp(Vjp& v, const Attrs&) { v.set(0, cast(v.g(), v.in_meta(0).dtype)); }
References Cast::reference(const std::vector<Tensor>& in, const Attrs&) {
  return {in_shape(in[0], in[0].shape())};
}

void Cast::samples(SampleList& s) {
  s.add({s.normal({3, 4})}, Attrs{DType::f64});
  s.add({s.integers({3, 4}, -5, 6)}, Attrs{DType::f64}, "from integers");
  s.add({s.normal({})}, Attrs{DType::f64}, "0-d");
  s.add({s.normal({2, 0})}, Attrs{DType::f64}, "empty");
}
void Cast::errors(ErrorList& e) { e.add<ValueError>({Tensor()}, "cast: undefined tensor", "ValueError"); }

// ---- flip ----

void Flip::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  resolve_dims(in, t.dims, in[0].shape.size());
  out.add(in[0].dtype, in[0].shape);
}

void Flip::run(const Ins& in, const View* out, const Attrs& t) {
  ConstView x = in[0];
  if (numel(x) == 0) return;
  for (std::int64_t k : resolved(t.dims, x.shape.size())) {
    const int d = static_cast<int>(k);
    x.data = shifted(x.data, (x.shape[d] - 1) * x.strides[d], x.dtype);
    x.strides[d] = -x.strides[d];
  }
  kernels::copy(x, out[0]);
}

void Flip::vjp(Vjp& v, const Attrs& t) { v.set(0, flip(v.g(), t.dims)); }

References Flip::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Dims& shape = in[0].shape();
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    for (int d = 0; d < shape.size(); ++d)
      if (t.dims.empty() || t.dims.contains(d) || t.dims.contains(d - shape.size()))
        at[d] = shape[d] - 1 - index[d];
    set_value(y, index, value_at(in[0], at));
  });
  return {y};
}

void Flip::samples(SampleList& s) {
  s.add({s.normal({2, 3})});
  s.add({s.normal({2, 3, 4})}, Attrs{{-1}}, "last");
  s.add({s.normal({2, 3, 4})}, Attrs{{2, 0}}, "two dims");
  s.add({s.normal({})}, Attrs{}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{{0}}, "empty");
}

void Flip::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{{2}}, "flip: dimension out of range: dims is 2, wanted -2 to 1", "IndexError");
  e.add<IndexError>({x}, Attrs{{INT64_MIN}}, "out of range", "IndexError");
  e.add<ValueError>({x}, Attrs{{0, -2}}, "twice", "ValueError");
  e.add<ValueError>({Tensor()}, "flip: undefined tensor", "ValueError");
}

// ---- pad ----

void Pad::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  const int rank = in[0].shape.size();
  const auto check = [&](const char* arg, const Dims& widths) {
    if (widths.size() != rank)
      in.fail<ShapeError>(arg, to_string(widths),
                          fmt::format("one width for each of the {} dimensions of {}", rank, describe(in[0])),
                          "wrong number of widths");
    for (std::int64_t w : widths)
      if (w < 0) in.fail<ValueError>(arg, to_string(widths), "widths of 0 or more", "negative width");
  };
  check("before", t.before);
  check("after", t.after);
  Dims shape = in[0].shape;
  std::int64_t bytes = static_cast<std::int64_t>(itemsize(in[0].dtype));
  for (int d = 0; d < rank; ++d) {
    bool over = __builtin_add_overflow(shape[d], t.before[d], &shape[d]);
    over |= __builtin_add_overflow(shape[d], t.after[d], &shape[d]);
    if (over || (shape[d] != 0 && __builtin_mul_overflow(bytes, shape[d], &bytes)))
      in.fail<ShapeError>("after", to_string(t.after), "fewer than 2^63 bytes", "size overflows");
  }
  out.add(in[0].dtype, shape);
}

void Pad::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::fill_around(out[0], t.before, in[0].shape, t.value);
  View inner = out[0];
  inner.shape = in[0].shape;
  if (numel(in[0]) == 0) return;
  for (int d = 0; d < inner.shape.size(); ++d)
    inner.data = shifted(inner.data, t.before[d] * inner.strides[d], inner.dtype);
  kernels::copy(in[0], inner);
}

void Pad::vjp(Vjp& v, const Attrs& t) {
  Tensor g = v.g();
  const Dims& shape = v.in_meta(0).shape;
  for (int d = 0; d < shape.size(); ++d)
    if (t.before[d] + t.after[d] > 0) g = slice(g, d, t.before[d], t.before[d] + shape[d]);
  v.set(0, g);
}

References Pad::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Dims shape = in[0].shape();
  for (int d = 0; d < shape.size(); ++d) shape[d] += t.before[d] + t.after[d];
  Tensor y = full(shape, t.value, DType::f64);
  for_each_index(in[0].shape(), [&](const Dims& index) {
    Dims to = index;
    for (int d = 0; d < shape.size(); ++d) to[d] += t.before[d];
    set_value(y, to, value_at(in[0], index));
  });
  return {y};
}

void Pad::samples(SampleList& s) {
  s.add({s.normal({2, 3})}, Attrs{{1, 0}, {0, 2}});
  s.add({s.normal({2, 3})}, Attrs{{1, 1}, {1, 1}, 2}, "value");
  s.add({s.normal({2, 3})}, Attrs{{0, 0}, {0, 0}}, "no border");
  s.add({s.normal({})}, Attrs{}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{{1, 0}, {1, 1}}, "empty");
}

void Pad::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<ShapeError>({x}, Attrs{{1}, {1, 1}},
                    "pad: wrong number of widths: before is [1], wanted one width for each", "ShapeError");
  e.add<ValueError>({x}, Attrs{{1, 0}, {0, -1}}, "pad: negative width: after is [0,-1]", "ValueError");
  e.add<ValueError>({x}, Attrs{{INT64_MIN, 0}, {0, 0}}, "negative width", "ValueError");
  e.add<ShapeError>({x}, Attrs{{INT64_MAX, 0}, {0, 0}}, "pad: size overflows", "ShapeError");
  e.add<ValueError>({Tensor()}, "pad: undefined tensor", "ValueError");
}

}  // namespace thalweg::ops

// The makers of tensors. Depends on tensor, kernels/copy, kernels/random, fmt.
#include <thalweg/autograd/tensor/factories.hpp>

#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/random.hpp>

namespace thalweg {
namespace {

Tensor filled(const Dims& shape, Scalar v, DType dtype) {
  Tensor t = empty(shape, dtype);
  if (v.integral) kernels::fill(t.mutable_view(), v.i);
  else kernels::fill(t.mutable_view(), v.d);
  return t;
}

void check_count(const char* op, double n, Loc loc) {
  if (!(n >= 0) || n > 9.0e15)
    throw_error<ValueError>({.op = op, .arg = "the number of elements", .given = fmt::format("{}", n),
                             .wanted = "0 or more", .what = "impossible count", .loc = loc});
}

void check_random(const char* op, DType dtype, Loc loc) {
  if (!is_floating(dtype))
    throw_error<DTypeError>({.op = op, .arg = "dtype", .given = name(dtype), .wanted = "f32 or f64",
                             .what = "random numbers are floating", .loc = loc});
}

template <class F>
Tensor sequence(std::int64_t n, DType dtype, F value) {
  Tensor t = empty({n}, DType::f64);
  double* p = t.mutable_data<double>();
  for (std::int64_t i = 0; i < n; ++i) p[i] = value(i);
  if (dtype == DType::f64) return t;
  Tensor r = empty({n}, dtype);
  kernels::copy(t.view(), r.mutable_view());
  return r;
}

}  // namespace

Tensor empty(const Dims& shape, DType dtype) {
  const std::int64_t n = checked_numel(shape, static_cast<std::int64_t>(itemsize(dtype)));
  Ref<TensorBody> b = Ref<TensorBody>::adopt(TensorBody::make());
  b->storage = Storage::make(static_cast<std::size_t>(n) * itemsize(dtype));
  b->data = b->storage->data;
  b->dtype = dtype;
  b->numel = n;
  b->shape = shape;
  b->strides = contiguous_strides(shape);
  return Tensor(std::move(b));
}

Tensor zeros(const Dims& shape, DType dtype) { return filled(shape, 0, dtype); }
Tensor ones(const Dims& shape, DType dtype) { return filled(shape, 1, dtype); }
Tensor full(const Dims& shape, Scalar value, DType dtype) { return filled(shape, value, dtype); }
Tensor zeros_like(const Tensor& t) { return filled(t.shape(), 0, t.dtype()); }
Tensor ones_like(const Tensor& t) { return filled(t.shape(), 1, t.dtype()); }

Tensor scalar(Scalar v, DType dtype) {
  Tensor t = empty({}, dtype);
  switch (dtype) {  // the operand of every `2 * x`: no kernel call
    case DType::f32: *static_cast<float*>(t.get()->data) = static_cast<float>(v.d); break;
    case DType::f64: *static_cast<double*>(t.get()->data) = v.d; break;
    default:
      if (v.integral) kernels::fill(t.mutable_view(), v.i);
      else kernels::fill(t.mutable_view(), v.d);
  }
  return t;
}

Tensor arange(double start, double end, double step, DType dtype, Loc loc) {
  if (!(step != 0) || !std::isfinite(start) || !std::isfinite(end) || !std::isfinite(step))
    throw_error<ValueError>({.op = "arange", .arg = "step", .given = fmt::format("{} to {} by {}", start, end, step),
                             .wanted = "finite numbers and a step other than 0", .what = "no such range",
                             .loc = loc});
  const double n = std::max(0.0, std::ceil((end - start) / step));
  check_count("arange", n, loc);
  return sequence(static_cast<std::int64_t>(n), dtype,
                  [=](std::int64_t i) { return start + static_cast<double>(i) * step; });
}

Tensor arange(std::int64_t n, Loc loc) {
  check_count("arange", static_cast<double>(n), loc);
  Tensor t = empty({n}, DType::i64);
  std::int64_t* p = t.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < n; ++i) p[i] = i;
  return t;
}

Tensor linspace(double start, double end, std::int64_t steps, DType dtype, Loc loc) {
  check_count("linspace", static_cast<double>(steps), loc);
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  return sequence(steps, dtype, [=](std::int64_t i) {
    return i == steps - 1 && steps > 1 ? end : start + static_cast<double>(i) * step;
  });
}

Tensor eye(std::int64_t n, std::int64_t m, DType dtype) {
  if (m < 0) m = n;
  Tensor t = zeros({n, m}, dtype);
  const std::int64_t k = n < m ? n : m;
  View diagonal = t.mutable_view();
  diagonal.shape = {k};
  diagonal.strides = {m + 1};
  kernels::fill(diagonal, 1);
  return t;
}

Tensor rand(const Dims& shape, Generator& generator, DType dtype, Loc loc) {
  check_random("rand", dtype, loc);
  Tensor t = empty(shape, dtype);
  kernels::random_uniform(t.mutable_view(), 0, 1, generator.next());
  return t;
}

Tensor randn(const Dims& shape, Generator& generator, DType dtype, Loc loc) {
  check_random("randn", dtype, loc);
  Tensor t = empty(shape, dtype);
  kernels::random_normal(t.mutable_view(), 0, 1, generator.next());
  return t;
}

Tensor randperm(std::int64_t n, Generator& generator, Loc loc) {
  Tensor t = arange(n, loc);
  std::int64_t* p = t.mutable_data<std::int64_t>();
  const RandomKey key = generator.next();
  for (std::int64_t i = n - 1; i > 0; --i) {  // Fisher and Yates; 64-bit multiply keeps the bias below 2^-40
    const PhiloxBlock block = philox(key.seed, key.offset, static_cast<std::uint64_t>(i));
    const std::uint64_t r = (std::uint64_t{block[0]} << 32) | block[1];
    const auto j = static_cast<std::int64_t>(
        static_cast<std::uint64_t>((static_cast<unsigned __int128>(r) * static_cast<std::uint64_t>(i + 1)) >> 64));
    std::swap(p[i], p[j]);
  }
  return t;
}

Tensor from_bytes(const void* data, DType dtype, const Dims& shape) {
  Tensor t = empty(shape, dtype);
  if (t.numel() > 0) std::memcpy(t.get()->data, data, static_cast<std::size_t>(t.numel()) * itemsize(dtype));
  return t;
}

void throw_from_count(std::size_t given, const Dims& shape, Loc loc) {
  throw_error<ShapeError>({.op = "from", .arg = "values", .given = fmt::format("{} values", given),
                           .wanted = fmt::format("{} for shape {}", numel(shape), to_string(shape)),
                           .what = "the count does not fit the shape", .loc = loc});
}

Tensor wrap_bytes(void* data, DType dtype, const Dims& shape, const Dims& strides,
                  std::function<void(void*)> deleter, Loc loc) {
  const std::int64_t n = checked_numel(shape, static_cast<std::int64_t>(itemsize(dtype)));
  if (strides.size() != shape.size())
    throw_error<ShapeError>({.op = "wrap", .arg = "strides", .given = to_string(strides),
                             .wanted = fmt::format("{} entries", shape.size()), .what = "one stride per dimension",
                             .loc = loc});
  std::int64_t last = 0;
  for (int d = 0; d < shape.size(); ++d) {
    if (strides[d] < 0)
      throw_error<ShapeError>({.op = "wrap", .arg = "strides", .given = to_string(strides), .wanted = "0 or more",
                               .what = "negative stride", .loc = loc});
    std::int64_t reach = 0;
    if (n > 0 && (__builtin_mul_overflow(shape[d] - 1, strides[d], &reach) || reach > (std::int64_t{1} << 56) - last))
      throw_error<ShapeError>({.op = "wrap", .arg = "strides", .given = to_string(strides),
                               .wanted = "elements within 2^56 of the first", .what = "strides overflow", .loc = loc});
    last += reach;
  }
  if (!data && n > 0)
    throw_error<ValueError>({.op = "wrap", .arg = "data", .given = "null", .wanted = "a pointer to the elements",
                             .what = "no memory", .loc = loc});
  Ref<TensorBody> b = Ref<TensorBody>::adopt(TensorBody::make());
  b->storage = Storage::wrap(data, static_cast<std::size_t>(n > 0 ? last + 1 : 0) * itemsize(dtype), std::move(deleter));
  b->data = data;
  b->dtype = dtype;
  b->numel = n;
  b->shape = shape;
  b->strides = strides;
  b->contiguous = is_contiguous(shape, strides);
  return Tensor(std::move(b));
}

Tensor alias(const Tensor& t, std::int64_t offset, const Dims& shape, const Dims& strides) {
  const TensorBody& from = t.body();
  Ref<TensorBody> b = Ref<TensorBody>::adopt(TensorBody::make());
  b->storage = from.storage;
  b->data = static_cast<char*>(from.data) + offset * static_cast<std::int64_t>(itemsize(from.dtype));
  b->dtype = from.dtype;
  b->numel = numel(shape);
  b->shape = shape;
  b->strides = strides;
  b->contiguous = is_contiguous(shape, strides);
  b->edge_version = from.storage->version();
  return Tensor(std::move(b));
}

}  // namespace thalweg

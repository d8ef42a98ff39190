// See values.hpp. Depends on kernels/copy, memory, fmt.
#include <thalweg/check/values.hpp>

#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg::check {

Tensor cast(const Tensor& t, DType dtype) {
  if (!t.defined()) return {};
  Tensor r = empty(t.shape(), dtype);
  kernels::copy(t.view(), r.mutable_view());
  return r;
}

Tensor leaf(const Tensor& t) {
  Tensor r = alias(t, 0, t.shape(), t.strides());
  r.set_requires_grad();
  return r;
}

std::vector<double> values(const Tensor& t) {
  std::vector<double> v(static_cast<std::size_t>(t.numel()));
  kernels::copy(t.view(), View{v.data(), DType::f64, t.shape(), contiguous_strides(t.shape())});
  return v;
}

Tensor from_values(const std::vector<double>& v, const Dims& shape) { return from(v, shape); }

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  const Tensor x = cast(a, a.dtype()), y = cast(b, b.dtype());
  return x.numel() == 0 || std::memcmp(x.body().data, y.body().data,
                                       static_cast<std::size_t>(x.numel()) * itemsize(x.dtype())) == 0;
}

bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i], b[i])) return false;
  return true;
}

bool same_values(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  const std::vector<double> x = values(a), y = values(b);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!(x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i])))) return false;
  return true;
}

double epsilon(DType dtype) { return dtype == DType::f32 ? 0x1p-23 : 0x1p-52; }

double ulp_error(double got, double want, double floor, DType dtype) {
  const bool single = dtype == DType::f32;
  if (single && std::isfinite(want) && std::isinf(static_cast<float>(want))) want = static_cast<float>(want);
  if (std::isnan(got) || std::isnan(want))
    return std::isnan(got) && std::isnan(want) ? 0 : std::numeric_limits<double>::infinity();
  if (got == want) return 0;
  if (std::isinf(got) || std::isinf(want)) {
    // The largest finite number is one step from infinity.
    const double top = single ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
    const bool next = std::isinf(got) && std::fabs(want) >= top && (got > 0) == (want > 0);
    return next ? 1 : std::numeric_limits<double>::infinity();
  }
  const double scale = std::fmax(std::fabs(want), floor);
  const int lowest = single ? -126 : -1022;
  const int exponent = scale > 0 ? std::max(std::ilogb(scale), lowest) : lowest;
  return std::fabs(got - want) / std::ldexp(1.0, exponent - (single ? 23 : 52));
}

const char* layout_name(Layout l) noexcept {
  constexpr const char* names[] = {"contiguous", "transposed", "sliced", "strided", "misaligned", "repeated"};
  return names[static_cast<int>(l)];
}

namespace {

/// A zeroed array seen through a window of t's shape; t's elements copied into the window.
Tensor windowed(const Tensor& t, std::int64_t elements, std::int64_t offset, const Dims& strides) {
  const Tensor buffer = full({elements}, 7, t.dtype());
  const Tensor window = alias(buffer, offset, t.shape(), strides);
  kernels::copy(t.view(), window.mutable_view());
  return window;
}

Tensor repeated(const Tensor& t) {
  int d = t.dim() - 1;
  while (d >= 0 && t.shape()[d] < 2) --d;
  if (d < 0) return t;
  const Tensor plain = cast(t, t.dtype());
  Dims strides = plain.strides();
  strides[d] = 0;
  return alias(plain, 0, t.shape(), strides);
}

}  // namespace

Tensor with_layout(const Tensor& t, Layout l) {
  if (!t.defined() || l == Layout::contiguous || t.numel() == 0) return t;
  const int n = t.dim();
  Dims strides = Dims::filled(n, 1);
  std::int64_t total = 1, offset = 0;
  switch (l) {
    case Layout::transposed:
      for (int d = 0; d < n; ++d) strides[d] = total, total *= t.shape()[d];
      return windowed(t, total, 0, strides);
    case Layout::sliced:
    case Layout::strided: {
      const std::int64_t step = l == Layout::strided ? 2 : 1;
      for (int d = n - 1; d >= 0; --d) {
        strides[d] = total * step;
        offset += total;
        total *= t.shape()[d] * step + 2;
      }
      return windowed(t, total + 2, n == 0 ? 1 : offset, strides);
    }
    case Layout::misaligned:
      return windowed(t, t.numel() + 1, 1, contiguous_strides(t.shape()));
    default:
      return repeated(t);
  }
}

void poison(std::int64_t bytes) {
  constexpr int blocks = 6;
  Tensor held[blocks];
  for (Tensor& t : held) {
    t = empty({bytes / 4}, DType::f32);
    if (t.numel() > 0) std::memset(t.body().data, 0xEB, static_cast<std::size_t>(t.numel()) * 4);
  }
}

namespace {

std::string number(double v, DType d) {
  if (std::isnan(v)) return d == DType::f32 ? "std::nanf(\"\")" : "std::nan(\"\")";
  if (std::isinf(v))
    return fmt::format("{}std::numeric_limits<{}>::infinity()", v < 0 ? "-" : "",
                       d == DType::f32 ? "float" : "double");
  if (d == DType::boolean) return v != 0 ? "true" : "false";
  if (!is_floating(d)) return fmt::format("{}", static_cast<std::int64_t>(v));
  std::string s = d == DType::f32 ? fmt::format("{}", static_cast<float>(v)) : fmt::format("{}", v);
  if (s.find_first_of(".e") == std::string::npos) s += ".0";
  return d == DType::f32 ? s + "f" : s;
}

const char* cpp_type(DType d) {
  constexpr const char* names[dtype_count] = {"float",        "double",       "std::int64_t",
                                              "std::int32_t", "std::uint8_t", "bool"};
  return names[static_cast<int>(d)];
}

std::string braces(const Dims& d) {
  if (d.empty()) return "Dims{}";
  std::string s = to_string(d);
  s.front() = '{';
  s.back() = '}';
  return s;
}

}  // namespace

std::string to_code(const Tensor& t) {
  if (!t.defined()) return "Tensor()";
  if (t.numel() == 0)
    return fmt::format("zeros({}, DType::{})", braces(t.shape()),
                       t.dtype() == DType::boolean ? "boolean" : name(t.dtype()));
  std::string list;
  for (double v : values(t)) list += (list.empty() ? "" : ", ") + number(v, t.dtype());
  return fmt::format("from<{}>({{{}}}, {})", cpp_type(t.dtype()), list, braces(t.shape()));
}

std::string index_of(std::int64_t n, const Dims& shape) {
  Dims index = shape;
  for (int d = shape.size() - 1; d >= 0; --d) {
    const std::int64_t size = shape[d] > 0 ? shape[d] : 1;
    index[d] = n % size;
    n /= size;
  }
  return to_string(index);
}

double Numbers::uniform(double lo, double hi) noexcept {
  const PhiloxBlock b = philox(seed_, 0x636865636bu, count_++);
  return lo + (hi - lo) * philox_uniform_f64(b[0], b[1]);
}

double Numbers::signed_unit() noexcept {
  const double u = uniform(-1, 1);
  return u < 0 ? u - 0.5 : u + 0.5;
}

std::int64_t Numbers::below(std::int64_t n) noexcept {
  return static_cast<std::int64_t>(uniform(0, static_cast<double>(n)));
}

Tensor Numbers::signed_units(const Dims& shape) {
  Tensor t = empty(shape, DType::f64);
  double* p = t.mutable_data<double>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = signed_unit();
  return t;
}

}  // namespace thalweg::check

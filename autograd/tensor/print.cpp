// Printing of tensors as NumPy does it. Depends on tensor, kernels/copy, fmt.
// Invariant: prints at most 6 entries of a long dimension once the tensor has over 1,000 elements.
#include <algorithm>
#include <cmath>
#include <ostream>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg {
namespace {

constexpr std::int64_t abbreviate_above = 1000;
constexpr std::int64_t edge_items = 3;

struct Printer {
  const Tensor& t;
  Tensor values;  // f64 or i64, contiguous
  bool abbreviated;
  bool scientific = false;
  bool integral = true;  // floating values that are all whole: NumPy prints "1."
  std::size_t width = 0;
  int digits = 0;
  std::string out;

  explicit Printer(const Tensor& tensor) : t(tensor), abbreviated(tensor.numel() > abbreviate_above) {
    values = empty(t.shape(), is_floating(t.dtype()) ? DType::f64 : DType::i64);
    kernels::copy(t.view(), values.mutable_view());
    if (is_floating(t.dtype())) choose_float_format();
    each(0, 0, [this](std::int64_t i) { width = std::max(width, text(i).size()); });
  }

  template <class F>
  void each(int d, std::int64_t base, F f) {
    if (d == t.dim()) return f(base);
    const std::int64_t n = t.shape()[d];
    const std::int64_t step = contiguous_strides(t.shape())[d];
    for (std::int64_t i = 0; i < n; ++i) {
      if (abbreviated && n > 2 * edge_items && i == edge_items) i = n - edge_items;
      each(d + 1, base + i * step, f);
    }
  }

  void choose_float_format() {
    double low = INFINITY, high = 0;
    const double* p = values.data<double>();
    each(0, 0, [&](std::int64_t i) {
      const double a = std::fabs(p[i]);
      if (!std::isfinite(a)) return;
      if (a != 0) low = std::min(low, a);
      high = std::max(high, a);
      if (a != std::floor(a)) integral = false;
    });
    scientific = high >= 1e8 || (high > 0 && (low < 1e-4 || high / low > 1000));
    if (integral && !scientific) return;
    each(0, 0, [&](std::int64_t i) {
      if (std::isfinite(p[i])) digits = std::max(digits, scientific ? significant(p[i]) - 1 : decimals(p[i]));
    });
    digits = std::min(digits, 8);
  }

  /// The shortest text that reads back as the same number.
  std::string shortest(double v) const {
    return t.dtype() == DType::f32 ? fmt::format("{}", static_cast<float>(v)) : fmt::format("{}", v);
  }

  int significant(double v) const {
    std::string s = shortest(std::fabs(v));
    s = s.substr(0, s.find('e'));
    std::erase(s, '.');
    const auto first = s.find_first_not_of('0');
    return first == std::string::npos ? 1 : static_cast<int>(s.find_last_not_of('0') - first) + 1;
  }

  /// Digits after the point that show `v` as NumPy would, 8 at most.
  int decimals(double v) const {
    std::string s = shortest(v);
    s = s.find('e') == std::string::npos ? s : fmt::format("{:.8f}", v);
    const auto dot = s.find('.');
    if (dot == std::string::npos) return 0;
    auto end = s.size();
    while (s[end - 1] == '0') --end;
    return std::min(8, static_cast<int>(end - dot) - 1);
  }

  std::string text(std::int64_t i) const {
    if (t.dtype() == DType::boolean) return values.data<std::int64_t>()[i] ? "True" : "False";
    if (!is_floating(t.dtype())) return fmt::format("{}", values.data<std::int64_t>()[i]);
    const double v = values.data<double>()[i];
    if (std::isnan(v)) return "nan";
    if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
    if (scientific) return fmt::format("{:#.{}e}", v, digits);
    if (integral) return fmt::format("{:.0f}.", v);
    std::string s = fmt::format("{:.{}f}", v, digits);  // pad with blanks, not zeros
    for (std::size_t k = s.size(); k > 1 && s[k - 1] == '0'; --k) s[k - 1] = ' ';
    return s;
  }

  void print(int d, std::int64_t base) {
    if (d == t.dim()) {
      const std::string s = text(base);
      out.append(width - s.size(), ' ');
      out += s;
      return;
    }
    const std::int64_t n = t.shape()[d];
    const std::int64_t step = contiguous_strides(t.shape())[d];
    const bool last = d + 1 == t.dim();
    out += '[';
    for (std::int64_t i = 0; i < n; ++i) {
      if (i > 0) separate(d, last);
      if (abbreviated && n > 2 * edge_items && i == edge_items) {
        out += "...";
        separate(d, last);
        i = n - edge_items;
      }
      print(d + 1, base + i * step);
    }
    out += ']';
  }

  void separate(int d, bool last) {
    if (last) {
      out += ' ';
      return;
    }
    out.append(static_cast<std::size_t>(t.dim() - d - 1), '\n');
    out.append(static_cast<std::size_t>(d) + 1, ' ');
  }
};

}  // namespace

std::string to_string(const Tensor& t) {
  if (!t.defined()) return "undefined";
  Printer p(t);
  p.print(0, 0);
  return std::move(p.out);
}

std::ostream& operator<<(std::ostream& out, const Tensor& t) { return out << to_string(t); }

}  // namespace thalweg

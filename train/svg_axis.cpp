// Depends on svg_axis.hpp, html.
#include <thalweg/train/svg_axis.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <thalweg/train/html.hpp>

namespace thalweg::train::svg {
namespace {

/// The smallest of 1, 2, 5 times a power of ten that is not below `v`.
double round_up(double v) {
  const double power = std::pow(10, std::floor(std::log10(v)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= v * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

Axis linear(double low, double high) {
  // A flat line, or values that differ by rounding only, stand in the middle of a range of their own size.
  const double size = std::max(std::abs(low), std::abs(high));
  if (size < 1e-290) {
    low = 0, high = 1;
  } else if (high / size - low / size < 1e-9) {
    constexpr double most = std::numeric_limits<double>::max();
    low = std::max(low - size / 10, -most), high = std::min(high + size / 10, most);
  }
  const double step = round_up(high / 4 - low / 4);
  const double from = std::floor(low / step + 1e-9), to = std::ceil(high / step - 1e-9);
  Axis a;
  a.low = from * step, a.high = to * step;
  if (!std::isfinite(a.low) || !std::isfinite(a.high)) {  // the rounding went past the largest number
    a.low = low, a.high = high, a.ticks = {low, high};
    return a;
  }
  for (int k = 0; k <= static_cast<int>(to - from) && k < 12; ++k) a.ticks.push_back((from + k) * step);
  a.decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 9);
  return a;
}

Axis logarithmic(double low, double high) {
  const auto first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  auto last = static_cast<int>(std::ceil(std::log10(high) - 1e-9));
  Axis a{.logarithmic = true};
  const int below = last <= first ? 1 : 0;  // one power of ten, constant: in the middle of two decades
  last = std::max(last, first + below);
  a.low = std::pow(10, first - below);
  a.high = std::min(std::pow(10, last), std::numeric_limits<double>::max());
  const int decades = last - first + below, stride = (decades + 5) / 6;
  for (int k = first - below; k <= last; k += stride) {
    a.ticks.push_back(std::min(std::pow(10, k), a.high));
    if (decades > 1 || k == last) continue;
    for (const double factor : {2.0, 5.0}) a.ticks.push_back(factor * std::pow(10, k));
  }
  return a;
}

}  // namespace

double Axis::at(double v) const {
  return logarithmic ? (std::log10(v) - std::log10(low)) / (std::log10(high) - std::log10(low))
                     : (v / 2 - low / 2) / (high / 2 - low / 2);
}

std::string Axis::label(double tick) const {
  if (logarithmic) return html::compact(tick);
  const double size = std::max(std::abs(low), std::abs(high));
  if (size >= 1e7 || size < 1e-4) return html::compact(tick);
  std::string s = html::fixed(tick, decimals);
  return s.ends_with("000") && decimals == 0 && size >= 1e4 ? html::thousands(std::llround(tick))
                                                            : (tick == 0 && decimals > 0 ? "0" : s);
}

Axis axis(double low, double high, Scale scale) {
  const bool positive = low > 1e-290;
  if (positive && (scale == Scale::logarithmic || (scale == Scale::automatic && high / low >= 50)))
    return logarithmic(low, high);
  if (scale == Scale::from_zero) low = std::min(low, 0.0), high = std::max(high, 0.0);
  return linear(low, high);
}

std::vector<std::int64_t> epoch_ticks(std::int64_t first, std::int64_t last) {
  const auto step = std::max<std::int64_t>(
      1, std::llround(round_up(std::max(1.0, static_cast<double>(last - first) / (last < 1000 ? 7 : 5)))));
  std::vector<std::int64_t> ticks;
  for (std::int64_t t = (first + step - 1) / step * step; t <= last; t += step) ticks.push_back(t);
  const auto room = [&](std::int64_t gap) { return 10 * gap >= 6 * step; };
  if (ticks.empty() || (ticks.front() > first && room(ticks.front() - first)))
    ticks.insert(ticks.begin(), first);
  if (ticks.back() < last && room(last - ticks.back())) ticks.push_back(last);
  return ticks;
}

}  // namespace thalweg::train::svg

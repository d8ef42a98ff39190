// Depends on svg_chart.hpp, html, fmt.
#include <thalweg/train/svg_chart.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include <thalweg/train/html.hpp>

namespace thalweg::train::svg {
namespace {

constexpr double width = 1000;  // units of the lines' own coordinates, stretched to the plot's width
constexpr std::size_t most_points = 1200, most_bands = 300, most_dots = 40;

struct Point {
  double epoch;  // from 0
  double value;
};

class Drawing {
 public:
  explicit Drawing(const Chart& chart) : c_(chart), axis_(range()) {}
  std::string figure();

 private:
  Axis range();
  double x(double epoch) const {
    return c_.epochs < 2 ? 0.5 : std::clamp(epoch / static_cast<double>(c_.epochs - 1), 0.0, 1.0);
  }
  double y(double value) const { return c_.height * (1 - std::clamp(axis_.at(value), 0.0, 1.0)); }
  std::string value_text(double v) const;
  std::string summary() const;
  std::string path(const std::vector<Point>& run) const;
  void grid();
  void lines();
  void dots();
  void gaps();
  void best();
  void end_labels();
  void bands();
  template <class... T>
  void put(fmt::format_string<T...> form, T&&... v) {
    fmt::format_to(std::back_inserter(out_), form, std::forward<T>(v)...);
  }

  const Chart& c_;
  bool any_ = false;  // whether there is a finite value
  Axis axis_;
  std::string out_{};
};

Axis Drawing::range() {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Line& line : c_.lines)
    for (const double v : line.values)
      if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  any_ = low <= high;
  return any_ ? axis(low, high, c_.scale) : axis(0, 1, Scale::linear);
}

std::string Drawing::value_text(double v) const {
  const std::string s = c_.unit == "%" ? html::fixed(v, 2) : c_.steps ? html::compact(v) : html::number(v);
  return std::isfinite(v) ? s + c_.unit : s;
}

double last_finite(const std::vector<double>& values, std::size_t& at) {
  for (at = values.size(); at-- > 0;)
    if (std::isfinite(values[at])) return values[at];
  return std::numeric_limits<double>::quiet_NaN();
}

/// The values in pieces without gaps; of very many, the least and the greatest of each stretch.
std::vector<std::vector<Point>> pieces(const std::vector<double>& values) {
  const std::size_t stretch =
      values.size() <= most_points ? 1 : (2 * values.size() + most_points - 1) / most_points;
  std::vector<std::vector<Point>> all(1);
  for (std::size_t begin = 0; begin < values.size(); begin += stretch) {
    const std::size_t end = std::min(values.size(), begin + stretch);
    std::size_t low = end, high = end;
    for (std::size_t i = begin; i < end; ++i) {
      if (!std::isfinite(values[i])) continue;
      if (low == end || values[i] < values[low]) low = i;
      if (high == end || values[i] > values[high]) high = i;
    }
    if (low == end) {
      if (!all.back().empty()) all.emplace_back();
      continue;
    }
    for (const std::size_t i : {std::min(low, high), std::max(low, high)})
      if (all.back().empty() || all.back().back().epoch < static_cast<double>(i))
        all.back().push_back({static_cast<double>(i), values[i]});
  }
  if (all.back().empty()) all.pop_back();
  return all;
}

std::string Drawing::path(const std::vector<Point>& run) const {
  std::string d;
  const auto to = [&](char command, double epoch, double value) {
    fmt::format_to(std::back_inserter(d), "{}{:.2f} {:.2f}", command, width * x(epoch), y(value));
  };
  for (std::size_t i = 0; i < run.size(); ++i) {
    const auto& [epoch, value] = run[i];
    if (!c_.steps) {
      to(i == 0 ? 'M' : 'L', epoch, value);
      continue;
    }
    const double begin = i == 0 ? epoch - 0.5 : (run[i - 1].epoch + epoch) / 2;
    const double end = i + 1 == run.size() ? epoch + 0.5 : (epoch + run[i + 1].epoch) / 2;
    to(i == 0 ? 'M' : 'L', begin, value);
    to('L', end, value);
  }
  return d;
}

void Drawing::grid() {
  for (const double t : axis_.ticks) {
    put(R"(<line class="rule" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>)", y(t));
    put(R"(<text x="0" y="{:.1f}" dx="-8" dy=".32em" text-anchor="end">{}{}</text>)", y(t), axis_.label(t),
        c_.unit == "%" ? "%" : "");
  }
  for (const std::int64_t t : epoch_ticks(c_.first_epoch, c_.first_epoch + c_.epochs - 1))
    put(R"(<text x="{:.2f}%" y="{:.0f}" dy="1.5em" text-anchor="middle">{}</text>)",
        100 * x(static_cast<double>(t - c_.first_epoch)), c_.height, t);
}

void Drawing::lines() {
  put(R"(<svg width="100%" height="{0:.0f}" viewBox="0 0 {1:.0f} {0:.0f}" preserveAspectRatio="none">)",
      c_.height, width);
  for (std::size_t i = c_.lines.size(); i-- > 0;) {
    const Line& line = c_.lines[i];
    for (const std::vector<Point>& run : pieces(line.values)) {
      const std::string d = path(run);
      if (c_.area && run.size() > 1)
        put(R"(<path class="area s{}" d="{}V{:.0f}H{:.2f}Z"/>)", i, d, c_.height,
            width * x(run.front().epoch - (c_.steps ? 0.5 : 0)));
      if (run.size() > 1 || c_.steps)
        put(R"(<path class="line s{}{}" d="{}"/>)", i, line.dashed ? " dash" : "", d);
    }
  }
  put("</svg>");
}

void Drawing::dots() {
  for (std::size_t i = c_.lines.size(); i-- > 0;)
    for (const std::vector<Point>& run : pieces(c_.lines[i].values))
      if (run.size() == 1 || (c_.epochs <= static_cast<std::int64_t>(most_dots) && !c_.steps))
        for (const Point& p : run)
          put(R"(<circle class="dot s{}{}" cx="{:.2f}%" cy="{:.1f}" r="{}"/>)", i,
              c_.lines[i].dashed ? " open" : "", 100 * x(p.epoch), y(p.value),
              run.size() == 1 ? "3.5" : "2.2");
}

/// Marks where the first line, or another one, has no number to show.
void Drawing::gaps() {
  const auto end = static_cast<std::size_t>(c_.epochs);
  const auto bad = [&](std::size_t i) {
    for (const Line& line : c_.lines)
      if (i < line.values.size() && !std::isfinite(line.values[i])) return html::number(line.values[i]);
    return std::string();
  };
  for (std::size_t i = 0, next; i < end; i = next) {
    next = i + 1;
    const std::string what = bad(i);
    if (what.empty()) continue;
    while (next < end && bad(next) == what) ++next;
    const double from = x(static_cast<double>(i) - 0.5), to = x(static_cast<double>(next) - 0.5);
    const bool only = c_.epochs < 2;
    put(R"(<rect class="gap" x="{:.2f}%" width="{:.2f}%" y="0" height="{:.0f}"/>)", only ? 0 : 100 * from,
        only ? 100 : 100 * (to - from), c_.height);
    put(R"(<text class="bad" x="{:.2f}%" y="{:.0f}" dy="-6" text-anchor="middle">{}</text>)",
        only ? 50 : 50 * (from + to), c_.height, what);
  }
}

void Drawing::best() {
  if (!c_.best || *c_.best < 0 || *c_.best >= c_.epochs) return;
  const double at = x(static_cast<double>(*c_.best));
  put(R"(<line class="best" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="{1:.0f}"/>)", 100 * at, c_.height);
  put(R"(<text class="best" x="{:.2f}%" y="0" dy="-8" text-anchor="{}">best epoch {}</text>)", 100 * at,
      at < 0.15  ? "start"
      : at > 0.8 ? "end"
                 : "middle",
      c_.first_epoch + *c_.best);
  const auto i = static_cast<std::size_t>(*c_.best);
  if (!c_.lines.empty() && i < c_.lines[0].values.size() && std::isfinite(c_.lines[0].values[i]))
    put(R"(<circle class="ring s0" cx="{:.2f}%" cy="{:.1f}" r="5"/>)", 100 * at, y(c_.lines[0].values[i]));
}

/// Name and last value at the end of each line, moved apart where they would overlap.
void Drawing::end_labels() {
  struct Label {
    std::size_t line;
    double y;
    std::string value;
  };
  std::vector<Label> labels;
  for (std::size_t i = 0; i < c_.lines.size(); ++i) {
    std::size_t at = 0;
    const double v = last_finite(c_.lines[i].values, at);
    if (std::isfinite(v)) labels.push_back({i, y(v), value_text(v)});
  }
  std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
  constexpr double apart = 33;
  const bool one = c_.lines.size() == 1;
  for (std::size_t i = 1; i < labels.size(); ++i)
    labels[i].y = std::max(labels[i].y, labels[i - 1].y + apart);
  if (!labels.empty()) labels.back().y = std::min(labels.back().y, c_.height - (one ? 0 : 16));
  for (std::size_t i = labels.size(); i-- > 1;)
    labels[i - 1].y = std::min(labels[i - 1].y, labels[i].y - apart);
  for (const Label& l : labels) {
    if (!one)
      put(R"(<text class="end s{}" x="100%" y="{:.1f}" dx="10">{}</text>)", l.line, l.y,
          html::escape(c_.lines[l.line].name));
    put(R"(<text class="end num" x="100%" y="{:.1f}" dx="10" dy="{}">{}</text>)", l.y,
        one ? ".32em" : "1.25em", l.value);
  }
}

/// What the pointer finds: a column for each epoch, or for a few where there are very many.
void Drawing::bands() {
  const auto n = static_cast<std::size_t>(c_.epochs), stride = (n + most_bands - 1) / most_bands;
  put(R"(<line class="cross" x1="0" x2="0" y1="0" y2="{:.0f}"/>)", c_.height);
  for (std::size_t i = 0; i < n; i += stride) {
    const double from = n < 2 ? 0 : x(static_cast<double>(i) - 0.5);
    const double to = n < 2 ? 1 : x(static_cast<double>(i + stride) - 0.5);
    put(R"(<rect class="hit" x="{:.2f}%" width="{:.2f}%" y="0" height="{:.0f}" data-x="{:.2f}%"><title>epoch {})",
        100 * from, 100 * (to - from), c_.height, 100 * x(static_cast<double>(i)),
        c_.first_epoch + static_cast<std::int64_t>(i));
    for (const Line& line : c_.lines)
      if (i < line.values.size()) put(" \u00B7 {} {}", html::escape(line.name), value_text(line.values[i]));
    put("</title></rect>");
  }
}

/// The chart in words.
std::string Drawing::summary() const {
  std::string s = c_.title + " by epoch";
  for (const Line& line : c_.lines) {
    std::size_t at = 0;
    const double last = last_finite(line.values, at);
    if (!line.values.empty())
      s += fmt::format("; {} from {} to {}", line.name, value_text(line.values.front()), value_text(last));
  }
  if (c_.best) s += fmt::format("; best epoch {}", c_.first_epoch + *c_.best);
  return s;
}

std::string Drawing::figure() {
  put(R"(<figure class="chart{}{}"><figcaption><b>{}</b><span class="read">{}</span></figcaption>)",
      c_.lines.size() == 1 ? " solo" : "", c_.epochs > 300 ? " dense" : "", html::escape(c_.title),
      html::escape(c_.note + (axis_.logarithmic ? " (log scale)" : "")));
  put(R"(<div class="plot"><svg class="draw" role="img" aria-label="{}" width="100%" height="{:.0f}">)",
      html::escape(summary()), c_.height);
  if (any_) grid();
  gaps();
  lines();
  dots();
  best();
  end_labels();
  if (!any_) put(R"(<text x="50%" y="{:.0f}" text-anchor="middle">no finite value</text>)", c_.height / 2);
  bands();
  put("</svg></div></figure>\n");
  return std::move(out_);
}

}  // namespace

std::string draw(const Chart& chart) { return Drawing(chart).figure(); }

}  // namespace thalweg::train::svg

// Depends on report_parts.hpp, svg_chart, html, fmt.
#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <thalweg/train/html.hpp>
#include <thalweg/train/report_parts.hpp>
#include <thalweg/train/svg_chart.hpp>

namespace thalweg::train::parts {
namespace {

constexpr std::array<std::string_view, 5> own_charts{"lr", "seconds", "images_per_second", "memory_live",
                                                     "memory_peak"};

bool has_own_chart(std::string_view name) {
  return std::find(own_charts.begin(), own_charts.end(), name) != own_charts.end();
}

std::vector<double> scaled(std::vector<double> values, double by) {
  for (double& v : values) v *= by;
  return values;
}

/// "loss" and "val_loss" together, validation first because it is what counts.
std::string metric_chart(const RunReport& r, std::string_view name, const Series* train,
                         const Series* validation, const std::optional<Best>& best_epoch) {
  const bool share = html::is_share(name);
  svg::Chart c{.title = html::label(name), .first_epoch = r.first_epoch, .epochs = epochs(r)};
  const double by = share ? 100 : 1;
  if (share) c.unit = "%", c.scale = svg::Scale::linear;
  if (validation) c.lines.push_back({"validation", scaled(validation->values, by), false});
  if (train)
    c.lines.push_back({validation ? "training" : "value", scaled(train->values, by), validation != nullptr});
  if (!best_epoch) return svg::draw(c);
  c.best = best_epoch->epoch;
  const auto at = static_cast<std::size_t>(best_epoch->epoch);
  const Series* shown = validation ? validation : train;
  if (at < shown->values.size())
    c.note = fmt::format("{} at the best epoch", html::figure(name, shown->values[at]));
  return svg::draw(c);
}

constexpr double low_height = 130;  // of the charts that are not about how well it went

std::string rate_chart(const RunReport& r) {
  const Series* lr = find(r, "lr");
  if (!lr) return {};
  svg::Chart c{.title = "Learning rate",
               .lines = {{"rate", lr->values}},
               .first_epoch = r.first_epoch,
               .epochs = epochs(r),
               .scale = svg::Scale::logarithmic,
               .steps = true,
               .height = low_height};
  std::int64_t changes = 0;
  for (std::size_t i = 1; i < lr->values.size(); ++i) changes += lr->values[i] != lr->values[i - 1] ? 1 : 0;
  c.note = changes == 0 ? "constant"
           : changes > 5
               ? fmt::format("{} to {}", html::compact(lr->values.front()), html::compact(lr->values.back()))
               : fmt::format("changed {} {}", changes, changes == 1 ? "time" : "times");
  return svg::draw(c);
}

std::string speed_chart(const RunReport& r) {
  const Series* rate = find(r, "images_per_second");
  const Series* shown = rate ? rate : find(r, "seconds");
  if (!shown) return {};
  svg::Chart c{.title = rate ? "Throughput" : "Time per epoch",
               .lines = {{rate ? "images/s" : "time", shown->values}},
               .first_epoch = r.first_epoch,
               .epochs = epochs(r),
               .scale = svg::Scale::from_zero,
               .area = true,
               .height = low_height};
  if (!rate) c.unit = " s";
  double sum = 0;
  std::int64_t n = 0;
  for (const double v : shown->values)
    if (std::isfinite(v)) sum += v, ++n;
  if (n > 0)
    c.note = fmt::format("mean {}{}", html::number(sum / static_cast<double>(n)), rate ? " images/s" : " s");
  return svg::draw(c);
}

std::string memory_chart(const RunReport& r) {
  const Series *peak = find(r, "memory_peak"), *live = find(r, "memory_live");
  if (!peak && !live) return {};
  svg::Chart c{.title = "Memory",
               .first_epoch = r.first_epoch,
               .epochs = epochs(r),
               .scale = svg::Scale::from_zero,
               .area = true,
               .unit = " MiB",
               .height = low_height};
  double most = 0;
  for (const auto& [name, series] : {std::pair{"peak", peak}, std::pair{"kept", live}}) {
    if (!series) continue;
    c.lines.push_back({name, scaled(series->values, 1.0 / (1 << 20)), series == live && peak != nullptr});
    for (const double v : c.lines.back().values) most = v > most ? v : most;
  }
  c.note = fmt::format("at most {} MiB", html::number(most));
  return svg::draw(c);
}

/// Digits after the point that give the column's largest number four significant ones.
int column_decimals(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values)
    if (std::isfinite(v)) most = std::max(most, std::abs(v));
  return most <= 0 ? 0 : std::clamp(3 - static_cast<int>(std::floor(std::log10(most))), 0, 6);
}

std::string cell(const Series& s, std::size_t i, int decimals) {
  if (i >= s.values.size()) return "\u2013";
  const double v = s.values[i];
  if (html::is_share(s.name)) return html::percent(v);
  if (s.name == "lr") return html::compact(v);
  if (s.name.starts_with("memory_")) return html::fixed(v / (1 << 20), 1);
  return html::fixed(v, decimals);
}

}  // namespace

const Series* find(const RunReport& report, std::string_view name) {
  for (const Series& s : report.series)
    if (s.name == name) return s.values.empty() ? nullptr : &s;
  return nullptr;
}

std::int64_t epochs(const RunReport& report) {
  std::size_t n = 0;
  for (const Series& s : report.series) n = std::max(n, s.values.size());
  return static_cast<std::int64_t>(n);
}

std::optional<Best> best(const RunReport& r) {
  const Series* s = nullptr;
  bool higher = r.higher_is_better;
  if (!r.monitor.empty()) {
    s = find(r, r.monitor);
  } else {
    higher = false;
    s = find(r, "val_loss") ? find(r, "val_loss") : find(r, "loss");
  }
  if (!s) return {};
  std::optional<Best> found;
  for (std::size_t i = 0; i < s->values.size(); ++i) {
    const double v = s->values[i];
    if (std::isfinite(v) && (!found || (higher ? v > found->value : v < found->value)))
      found = {s->name, static_cast<std::int64_t>(i), v};
  }
  return found;
}

std::string curves(const RunReport& r) {
  if (epochs(r) == 0) return {};
  const std::optional<Best> at = best(r);
  std::string out = "<section><h2>Curves</h2>\n<div class=\"charts\">\n";
  std::vector<std::string_view> done;
  for (const Series& s : r.series) {
    std::string_view name = s.name;
    if (has_own_chart(name) || s.values.empty()) continue;
    if (name.starts_with("val_")) name.remove_prefix(4);
    if (std::find(done.begin(), done.end(), name) != done.end()) continue;
    done.push_back(name);
    out += metric_chart(r, name, find(r, name), find(r, "val_" + std::string(name)), at);
  }
  return out + "</div>\n<div class=\"charts low\">\n" + rate_chart(r) + speed_chart(r) + memory_chart(r) +
         "</div></section>\n";
}

std::string epoch_table(const RunReport& r) {
  constexpr std::int64_t most_rows = 1000;
  const std::int64_t n = epochs(r), stride = (n + most_rows - 1) / most_rows;
  if (n == 0) return {};
  const std::optional<Best> at = best(r);
  std::string out =
      "<details><summary>All numbers by epoch</summary><div class=\"scroll\"><table class=\"num\">"
      "<thead><tr><th scope=\"col\">Epoch</th>";
  std::vector<int> decimals;
  for (const Series& s : r.series) {
    decimals.push_back(column_decimals(s.values));
    out += fmt::format("<th scope=\"col\">{}{}</th>", html::escape(html::label(s.name)),
                       s.name.starts_with("memory_") ? ", MiB" : "");
  }
  out += "</tr></thead>\n<tbody>\n";
  for (std::int64_t i = 0; i < n; ++i) {
    const bool is_best = at && at->epoch == i;
    if (i % stride != 0 && i != n - 1 && !is_best) continue;
    out +=
        fmt::format("<tr{}><th scope=\"row\">{}</th>", is_best ? " class=\"best\"" : "", r.first_epoch + i);
    for (std::size_t k = 0; k < r.series.size(); ++k) {
      const std::string text = cell(r.series[k], static_cast<std::size_t>(i), decimals[k]);
      out += fmt::format("<td>{}</td>", text);
    }
    out += "</tr>\n";
  }
  out += "</tbody></table></div>";
  if (stride > 1) out += fmt::format("<p class=\"note\">Every {} epochs, the best and the last.</p>", stride);
  return out + "</details>\n";
}

}  // namespace thalweg::train::parts

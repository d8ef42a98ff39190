// Depends on report.hpp, report_parts, html, io/file, fmt.
#include <thalweg/train/report.hpp>

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include <thalweg/io/file.hpp>
#include <thalweg/train/html.hpp>
#include <thalweg/train/report_parts.hpp>

namespace thalweg::train {
namespace parts {
namespace {

/// The seconds of all epochs if the run's are not known.
double run_seconds(const RunReport& r) {
  if (r.seconds > 0) return r.seconds;
  double sum = 0;
  if (const Series* s = find(r, "seconds"))
    for (const double v : s->values) sum += std::isfinite(v) ? v : 0;
  return sum;
}

std::string tile(std::string_view name, std::string_view value, std::string_view note = {}) {
  return fmt::format("<div class=\"tile\"><dt>{}</dt><dd>{}{}</dd></div>\n", html::escape(name),
                     html::escape(value),
                     note.empty() ? "" : fmt::format("<small>{}</small>", html::escape(note)));
}

/// The one number that a reader came for: the first result, else the monitored series at its best.
std::string headline(const RunReport& r, const std::optional<Best>& at) {
  std::string name, value;
  if (!r.results.empty()) {
    name = r.results[0].first, value = html::figure(name, r.results[0].second);
  } else if (const Series* s = find(r, "val_accuracy"); s && at) {
    const auto i = static_cast<std::size_t>(at->epoch);
    name = "validation accuracy at the best epoch";
    value = i < s->values.size() ? html::percent(s->values[i]) : "";
  }
  if (value.empty() && at) name = at->name + " at its best", value = html::figure(at->name, at->value);
  if (value.empty()) return {};
  return fmt::format("<div class=\"tile first\"><dt>{}</dt><dd>{}</dd></div>\n",
                     html::escape(html::label(name)), html::escape(value));
}

std::string tiles(const RunReport& r) {
  const std::optional<Best> at = best(r);
  std::string out = headline(r, at);
  for (std::size_t i = 1; i < r.results.size(); ++i)
    out += tile(html::label(r.results[i].first), html::figure(r.results[i].first, r.results[i].second));
  const std::int64_t n = epochs(r);
  if (at)
    out +=
        tile("Best epoch", fmt::format("{}", r.first_epoch + at->epoch),
             fmt::format("of {}, {} {}", r.first_epoch + n - 1, at->name, html::figure(at->name, at->value)));
  else if (n > 0)
    out += tile("Epochs", fmt::format("{}", n));
  if (const double seconds = run_seconds(r); seconds > 0)
    out += tile("Time", html::duration(seconds),
                n > 0 ? html::duration(seconds / static_cast<double>(n)) + " an epoch" : "");
  if (r.model.parameters > 0)
    out += tile("Parameters", html::thousands(r.model.parameters),
                html::number(static_cast<double>(r.model.bytes) / (1 << 20)) + " MiB");
  return out.empty() ? out : "<dl class=\"tiles\">\n" + out + "</dl>\n";
}

/// What went wrong or short, in a sentence each.
std::string notices(const RunReport& r) {
  std::string out;
  if (!r.stopped.empty()) out += fmt::format("<p class=\"notice\">{}</p>\n", html::escape(r.stopped));
  for (const char* name : {"loss", "val_loss"}) {
    const Series* s = find(r, name);
    if (!s) continue;
    const auto bad =
        std::find_if(s->values.begin(), s->values.end(), [](double v) { return !std::isfinite(v); });
    if (bad != s->values.end())
      out += fmt::format("<p class=\"notice warn\">{} was {} in epoch {}.</p>\n", html::label(name),
                         html::number(*bad), r.first_epoch + (bad - s->values.begin()));
  }
  return out;
}

}  // namespace

std::string model(const RunReport& r) {
  const nn::Summary& s = r.model;
  if (s.rows.empty()) return {};
  std::int64_t most = 1;
  for (const nn::SummaryRow& row : s.rows) most = std::max(most, row.own);
  std::string out =
      fmt::format("<section><h2>Model</h2><p class=\"lead\">{} parameters, {} trainable, {} MiB",
                  html::thousands(s.parameters), html::thousands(s.trainable),
                  html::number(static_cast<double>(s.bytes) / (1 << 20)));
  if (s.buffers > 0) out += fmt::format("; {} numbers in buffers", html::thousands(s.buffers));
  out +=
      ".</p>\n<div class=\"scroll\"><table class=\"model\"><thead><tr><th scope=\"col\">Name</th><th "
      "scope=\"col\">"
      "Layer</th><th scope=\"col\">Output</th><th scope=\"col\" "
      "class=\"num\">Parameters</th><td></td></tr></thead>\n<tbody>\n";
  for (const nn::SummaryRow& row : s.rows)
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"dims\">{}</td><td class=\"num\">{}</td>"
        "<td class=\"part\"><span style=\"width:{:.1f}%\"></span></td></tr>\n",
        html::escape(row.name), html::escape(row.layer),
        row.called ? html::escape(to_string(row.output)) : "\u2013", html::thousands(row.own),
        100 * static_cast<double>(row.own) / static_cast<double>(most));
  return out + "</tbody></table></div></section>\n";
}

std::string facts(const RunReport& r) {
  if (r.facts.empty()) return {};
  std::string out = "<section><h2>Run</h2>\n<dl class=\"facts\">\n";
  for (const Fact& f : r.facts)
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", html::escape(f.name), html::escape(f.value));
  return out + "</dl></section>\n";
}

}  // namespace parts

std::string to_html(const RunReport& r) {
  const std::string title = html::escape(r.title);
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light "
      "dark\"/>\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n"
      "<header><h1>{}</h1>",
      title, parts::style(), title);
  if (!r.subtitle.empty()) out += fmt::format("<p class=\"sub\">{}</p>", html::escape(r.subtitle));
  if (!r.date.empty()) out += fmt::format("<p class=\"date\">{}</p>", html::escape(r.date));
  out += "</header>\n";
  const std::string curves = parts::curves(r);
  out += parts::tiles(r) + parts::notices(r);
  out += curves.empty() ? "<p class=\"notice\">No epoch was finished.</p>\n" : curves;
  out += parts::epoch_table(r) + parts::classes(r) + parts::mistakes(r) + parts::model(r) + parts::facts(r);
  return out + fmt::format("</main>\n<script>\n{}</script>\n</body>\n</html>\n", parts::script());
}

void write_report(const std::string& path, const RunReport& report) {
  const std::string page = to_html(report);
  io::write_file(path, {reinterpret_cast<const std::uint8_t*>(page.data()), page.size()});
}

}  // namespace thalweg::train

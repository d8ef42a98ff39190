// Depends on report_parts.hpp, html, png, fmt.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/train/html.hpp>
#include <thalweg/train/png.hpp>
#include <thalweg/train/report_parts.hpp>

namespace thalweg::train::parts {
namespace {

constexpr std::size_t most_cells = 24;  // classes whose matrix is a table; of more it is a picture
constexpr std::size_t most_pairs = 10;
constexpr std::int64_t most_pixels = 96;  // a larger picture is shown reduced

struct Totals {
  std::vector<std::int64_t> given, predicted;
  std::int64_t all = 0, right = 0, most_wrong = 0;
};

Totals totals(const Confusion& m) {
  const std::size_t n = m.classes.size();
  if (m.counts.size() != n * n || std::any_of(m.counts.begin(), m.counts.end(), [](auto v) { return v < 0; }))
    throw_error<ValueError>({.op = "to_html",
                             .arg = "confusion",
                             .given = fmt::format("{} counts for {} classes", m.counts.size(), n),
                             .wanted = fmt::format("{} counts, none below 0", n * n),
                             .what = "not a confusion matrix"});
  Totals t{std::vector<std::int64_t>(n), std::vector<std::int64_t>(n)};
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const std::int64_t v = m.count(i, j);
      t.given[i] += v, t.predicted[j] += v, t.all += v;
      if (i == j)
        t.right += v;
      else
        t.most_wrong = std::max(t.most_wrong, v);
    }
  return t;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

std::string share_text(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? html::percent(share(part, whole), 1) : "\u2013";
}

/// A count with its shade: right ones by recall, wrong ones against the most frequent mistake.
std::string matrix_cell(const Confusion& m, const Totals& t, std::size_t i, std::size_t j) {
  const std::int64_t v = m.count(i, j);
  if (v == 0) return "<td class=\"zero\">0</td>";
  const double shade = i == j ? 0.15 + 0.8 * share(v, t.given[i]) : 0.03 + 0.87 * share(v, t.most_wrong);
  return fmt::format(
      "<td class=\"{}{}\" style=\"--a:{:.2f}\" title=\"{} taken for {}: {}, {} of them\">{}</td>",
      i == j ? "hit" : "miss", shade > 0.75 ? " deep" : "", shade, html::escape(m.classes[i]),
      html::escape(m.classes[j]), v, share_text(v, t.given[i]), html::thousands(v));
}

std::string matrix_table(const Confusion& m, const Totals& t) {
  const std::size_t n = m.classes.size();
  const bool turned =
      std::any_of(m.classes.begin(), m.classes.end(), [](const auto& s) { return s.size() > 4; });
  std::string out = fmt::format("<div class=\"scroll\"><table class=\"matrix num{}\"><thead><tr><td></td>",
                                turned ? " turned" : "");
  for (const std::string& name : m.classes)
    out += fmt::format("<th scope=\"col\" class=\"up\"><span>{}</span></th>", html::escape(name));
  out += "<th scope=\"col\" class=\"sum\">Recall</th></tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < n; ++i) {
    out += fmt::format("<tr><th scope=\"row\">{}</th>", html::escape(m.classes[i]));
    for (std::size_t j = 0; j < n; ++j) out += matrix_cell(m, t, i, j);
    out += fmt::format("<td class=\"sum\">{}</td></tr>\n", share_text(m.count(i, i), t.given[i]));
  }
  out += "</tbody><tfoot><tr><th scope=\"row\">Precision</th>";
  for (std::size_t j = 0; j < n; ++j)
    out += fmt::format("<td class=\"sum\">{}</td>", share_text(m.count(j, j), t.predicted[j]));
  return out + fmt::format(
                   "<td class=\"sum all\">{}</td></tr></tfoot></table></div>\n"
                   "<p class=\"note\">Rows: the given class. Columns: what the model said.</p>",
                   share_text(t.right, t.all));
}

/// Many classes: a pixel for each count, darker for more, and the classes' figures as a list.
std::string matrix_picture(const Confusion& m, const Totals& t) {
  const std::size_t n = m.classes.size();
  // A picture has at most 512 pixels a side; a pixel stands for the largest of the shares it covers.
  const std::size_t block = (n + 511) / 512, side = (n + block - 1) / block;
  std::vector<double> shades(side * side);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double& s = shades[i / block * side + j / block];
      s = std::max(s, std::sqrt(share(m.count(i, j), t.given[i])));
    }
  std::vector<std::uint8_t> pixels(3 * side * side);
  constexpr double paper[] = {255, 255, 255}, ink[] = {23, 63, 140};
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t k = 0; k < side * side; ++k)
      pixels[c * side * side + k] =
          static_cast<std::uint8_t>(std::lround(paper[c] + shades[k] * (ink[c] - paper[c])));
  const auto edge = static_cast<std::int64_t>(side);
  std::string out = fmt::format(
      "<figure class=\"heat\"><img src=\"{}\" alt=\"confusion matrix of {} classes, {} "
      "right\"/><figcaption>Down: the "
      "given class. Across: what the model said. Darker: a larger share of the row.</figcaption></figure>\n",
      png_address(3, edge, edge, pixels), n, share_text(t.right, t.all));
  out +=
      "<details><summary>Recall and precision by class</summary><div class=\"scroll\"><table "
      "class=\"num\"><thead><tr>"
      "<th scope=\"col\">Class</th><th scope=\"col\">Examples</th><th scope=\"col\">Recall</th><th "
      "scope=\"col\">"
      "Precision</th></tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < n; ++i)
    out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                       html::escape(m.classes[i]), html::thousands(t.given[i]),
                       share_text(m.count(i, i), t.given[i]), share_text(m.count(i, i), t.predicted[i]));
  return out + "</tbody></table></div></details>\n";
}

/// What was taken for what most often, as bars.
std::string pairs(const Confusion& m, const Totals& t) {
  const std::size_t n = m.classes.size();
  std::vector<std::size_t> wrong;
  for (std::size_t k = 0; k < m.counts.size(); ++k)
    if (k / n != k % n && m.counts[k] > 0) wrong.push_back(k);
  if (wrong.empty()) return {};
  const std::size_t shown = std::min(wrong.size(), most_pairs);
  std::partial_sort(wrong.begin(), wrong.begin() + static_cast<std::ptrdiff_t>(shown), wrong.end(),
                    [&](std::size_t a, std::size_t b) {
                      return m.counts[a] != m.counts[b] ? m.counts[a] > m.counts[b] : a < b;
                    });
  std::string out = "<div class=\"pairs\"><h3>Most often confused</h3><ol>\n";
  for (std::size_t k = 0; k < shown; ++k) {
    const std::size_t i = wrong[k] / n, j = wrong[k] % n;
    const std::int64_t v = m.counts[wrong[k]];
    out += fmt::format(
        "<li><span class=\"pair\">{} <i>\u2192</i> {}</span><span class=\"count "
        "num\">{}<small>{}</small></span>"
        "<span class=\"bar\"><b style=\"width:{:.1f}%\"></b></span></li>\n",
        html::escape(m.classes[i]), html::escape(m.classes[j]), html::thousands(v), share_text(v, t.given[i]),
        100 * share(v, t.most_wrong));
  }
  return out + "</ol></div>\n";
}

/// The picture reduced by averaging whole blocks, if it is larger than is shown.
Picture reduced(const Picture& p) {
  const std::int64_t by = (std::max(p.height, p.width) + most_pixels - 1) / most_pixels;
  if (by <= 1) return p;
  Picture out{p.channels, (p.height + by - 1) / by, (p.width + by - 1) / by, {}};
  for (std::int64_t c = 0; c < p.channels; ++c)
    for (std::int64_t y = 0; y < p.height; y += by)
      for (std::int64_t x = 0; x < p.width; x += by) {
        std::int64_t sum = 0, n = 0;
        for (std::int64_t v = y; v < std::min(y + by, p.height); ++v)
          for (std::int64_t u = x; u < std::min(x + by, p.width); ++u, ++n)
            sum += p.pixels[static_cast<std::size_t>((c * p.height + v) * p.width + u)];
        out.pixels.push_back(static_cast<std::uint8_t>((sum + n / 2) / n));
      }
  return out;
}

std::string picture_address(const Picture& p) {
  const auto outside = [](std::int64_t side, std::int64_t most) { return side < 1 || side > most; };
  if (outside(p.height, 1 << 14) || outside(p.width, 1 << 14) || outside(p.channels, 3) ||
      p.pixels.size() != static_cast<std::size_t>(p.channels * p.height * p.width))
    return png_address(p.channels, p.height, p.width, p.pixels);  // which says what is wrong
  const Picture small = reduced(p);
  return png_address(small.channels, small.height, small.width, small.pixels);
}

}  // namespace

std::string classes(const RunReport& r) {
  if (r.confusion.classes.empty() && r.confusion.counts.empty()) return {};
  const Totals t = totals(r.confusion);
  const bool table = r.confusion.classes.size() <= most_cells;
  return fmt::format(
             "<section><h2>Classes</h2><p class=\"lead\">{} of {} examples right, {}.</p>\n"
             "<div class=\"split\"><div>\n",
             html::thousands(t.right), html::thousands(t.all), share_text(t.right, t.all)) +
         (table ? matrix_table(r.confusion, t) : matrix_picture(r.confusion, t)) + "</div>\n" +
         pairs(r.confusion, t) + "</div></section>\n";
}

std::string mistakes(const RunReport& r) {
  if (r.mistakes.empty()) return {};
  std::string out =
      "<section><h2>Worst mistakes</h2><p class=\"lead\">Highest loss first: the given class \u2192 what "
      "the model said, and how sure it was.</p>\n<div class=\"grid\">\n";
  for (const Mistake& m : r.mistakes) {
    const std::string given = html::escape(m.given), predicted = html::escape(m.predicted);
    const std::string number = m.index >= 0 ? fmt::format("No. {}: ", m.index) : "";
    out += fmt::format(
        "<figure class=\"shot\" title=\"{0}loss {1}\"><img src=\"{2}\" alt=\"{3}, taken for "
        "{4}\"/><figcaption><span>{3} "
        "<i>\u2192</i> <b>{4}</b></span><span class=\"num\">{5}</span></figcaption></figure>\n",
        number, html::number(m.loss), picture_address(m.picture), given, predicted,
        html::fixed(m.probability, 2));
  }
  return out + "</div></section>\n";
}

}  // namespace thalweg::train::parts

// The report's page: whole, closed in itself, and with the right numbers in the right places.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include <unistd.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/file.hpp>
#include <thalweg/train/html.hpp>
#include <thalweg/train/report.hpp>

#include "train/markup.hpp"

namespace {

using namespace thalweg;
using namespace thalweg::train;

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();

Picture picture(std::int64_t channels, std::int64_t height, std::int64_t width) {
  Picture p{channels, height, width, {}};
  std::uint32_t noise = 1;  // which no compression makes smaller
  for (std::int64_t i = 0; i < channels * height * width; ++i)
    p.pixels.push_back(static_cast<std::uint8_t>((noise = noise * 1664525 + 1013904223) >> 24));
  return p;
}

/// A run of twenty epochs with everything in it, as `cifar10` makes one.
RunReport full() {
  RunReport r{.title = "VGGNet", .subtitle = "on CIFAR-10", .date = "2026-11-23 04:00 UTC"};
  r.results = {{"test_accuracy", 0.8731}, {"test_loss", 0.4127}};
  Series loss{"loss"}, accuracy{"accuracy"}, val_loss{"val_loss"}, val_accuracy{"val_accuracy"}, lr{"lr"},
      seconds{"seconds"}, speed{"images_per_second"}, live{"memory_live"}, peak{"memory_peak"};
  for (int i = 0; i < 20; ++i) {
    loss.values.push_back(2 * std::exp(-i / 5.0));
    accuracy.values.push_back(1 - 0.6 * std::exp(-i / 5.0));
    val_loss.values.push_back(0.4 + 0.004 * (i - 13) * (i - 13));
    val_accuracy.values.push_back(0.87 - 0.002 * (i - 13) * (i - 13));
    lr.values.push_back(i < 12 ? 1e-3 : 1e-4);
    seconds.values.push_back(400 + i);
    speed.values.push_back(50000.0 / (400 + i));
    live.values.push_back(140e6);
    peak.values.push_back(1.3e9);
  }
  r.series = {loss, accuracy, val_loss, val_accuracy, lr, seconds, speed, live, peak};
  r.facts = {{"Command", "./run cifar10 --seed 1"}, {"Seed", "1"}};
  r.model.rows = {{"0", "Conv2d(3 -> 64)", true, Dims{1, 64, 32, 32}, 1792},
                  {"1", "Linear(64 -> 10)", false, {}, 650}};
  r.model.parameters = 2442, r.model.trainable = 2442, r.model.bytes = 4 * 2442;
  for (int i = 0; i < 10; ++i) r.confusion.classes.push_back("class " + std::to_string(i));
  for (int i = 0; i < 100; ++i) r.confusion.counts.push_back(i % 11 == 0 ? 900 : i % 7);
  for (int i = 0; i < 24; ++i) r.mistakes.push_back({picture(3, 32, 32), "cat", "dog", 0.98, 4.1, 100 + i});
  return r;
}

std::string text_of(const markup::Page& page, std::string_view name, std::string_view class_name = {}) {
  std::string all;
  for (const markup::Element* e : page.of(name, class_name)) all += e->text + "\n";
  return all;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::size_t occurrences(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("the markup reader sees what is broken") {
  const auto error = [](const std::string& inside) {
    return markup::Page("<!DOCTYPE html>\n<html>" + inside + "</html>\n").error();
  };
  CHECK(error("<p class=\"a\">x &lt; y<br/></p><style>a > b</style>") == "");
  for (const char* bad :
       {"<p>", "</p>", "<p><b></p></b>", "<p class=a></p>", "<p a=\"1\" a=\"2\"></p>", "a & b", "a > b",
        "<p a=\"x<y\"></p>", "<p a=\"&x;\"></p>", "<br>", "<p", "<script>a && b</script>"})
    CHECK_MESSAGE(error(bad) != "", bad);
  CHECK(markup::Page("<html></html>").error() != "");
  CHECK(markup::Page("<!DOCTYPE html><html></html><html></html>").error() != "");
}

TEST_CASE("a full report is well-formed, closed in itself and the same each time") {
  const std::string text = to_html(full());
  const markup::Page page(text);
  CHECK(page.error() == "");
  CHECK(text == to_html(full()));
  // Nothing is fetched: no address, no import, and of all sources only data.
  for (const char* outside :
       {"http", "//", "url(", "@import", "@font-face", "href", "<link", "<iframe", "<object"})
    CHECK_MESSAGE(!contains(text, outside), outside);
  CHECK(occurrences(text, "src=") == 24);
  CHECK(occurrences(text, "src=\"data:image/png;base64,") == 24);
  CHECK(page.of("section").size() == 5);
  CHECK(page.of("figure", "chart").size() == 5);  // loss, accuracy, rate, throughput, memory
  for (const markup::Element* chart : page.of("svg", "draw")) {
    CHECK(chart->attribute("role") == "img");
    CHECK(contains(chart->attribute("aria-label"), " by epoch; "));
  }
  CHECK(contains(text, "prefers-color-scheme: dark"));
  for (const markup::Element* image : page.of("img")) CHECK(image->attribute("alt") == "cat, taken for dog");
}

TEST_CASE("the figures that matter stand on top") {
  const markup::Page page(to_html(full()));
  const std::string tiles = text_of(page, "dl", "tiles");
  CHECK(tiles.starts_with("\nTest accuracy87.31%\nTest loss0.4127\nBest epoch14of 20, val_loss 0.4000\n"));
  CHECK(contains(tiles, "Time2 h 17 min6 min 50 s an epoch"));
  CHECK(contains(tiles, "Parameters2,442"));
  CHECK(page.of("div", "first").size() == 1);
}

TEST_CASE("the monitored series decides which epoch is best") {
  RunReport r;
  r.series = {
      {"loss", {3, 2, 1, 0.5}}, {"val_loss", {3, 1, 2, nan_value}}, {"accuracy", {0.1, 0.4, 0.9, 0.8}}};
  const auto best = [&r] { return text_of(markup::Page(to_html(r)), "text", "best"); };
  CHECK(best() == "best epoch 2\nbest epoch 2\n");  // on loss with val_loss, and on accuracy
  r.monitor = "accuracy", r.higher_is_better = true, r.first_epoch = 11;
  CHECK(best() == "best epoch 13\nbest epoch 13\n");
  r.higher_is_better = false;
  CHECK(best() == "best epoch 11\nbest epoch 11\n");
  r.monitor = "unknown";
  CHECK(best() == "");
}

TEST_CASE("texts of the user cannot break out") {
  const std::string evil = "</script><script>alert(1)</script>\"' & \xFF\x01\x80 {} </title></style>";
  RunReport r = full();
  r.title = r.subtitle = r.date = r.stopped = r.monitor = evil;
  r.results = {{evil, 1}, {evil, 2}};
  for (Series& s : r.series) s.name += evil;
  r.facts = {{evil, evil}};
  for (nn::SummaryRow& row : r.model.rows) row.name = row.layer = evil;
  for (std::string& name : r.confusion.classes) name = evil;
  for (Mistake& m : r.mistakes) m.given = m.predicted = evil;
  const std::string text = to_html(r);
  const markup::Page page(text);
  CHECK(page.error() == "");
  CHECK(page.of("script").size() == 1);
  CHECK(page.of("style").size() == 1);
  CHECK_FALSE(contains(text, "<script>alert"));
  CHECK(io::valid_utf8_prefix(text) == text.size());
  CHECK(html::escape("a<b>&\"'\t\n\x02\xC3\xA9\xC3(") ==
        "a&lt;b&gt;&amp;&quot;&#39;\t\n\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD(");
}

TEST_CASE("nothing, one epoch, and series that end early") {
  const markup::Page nothing(to_html({}));
  CHECK(nothing.error() == "");
  CHECK(nothing.of("svg").empty());
  CHECK(nothing.of("table").empty());
  CHECK(contains(text_of(nothing, "p", "notice"), "No epoch was finished."));

  RunReport one;
  one.series = {{"loss", {0.31}}, {"val_loss", {0.3}}, {"lr", {0.001}}, {"seconds", {2.5}}};
  const markup::Page single(to_html(one));
  CHECK(single.error() == "");
  CHECK(single.of("circle", "dot").size() == 4);
  CHECK(text_of(single, "text", "best") == "best epoch 1\n");

  RunReport uneven;
  uneven.series = {{"loss", {1, 2, 3}}, {"late", {}}, {"short", {5}}};
  const markup::Page page(to_html(uneven));
  CHECK(page.error() == "");
  CHECK(contains(text_of(page, "td"), "5.000\n2.000\n\u2013\n\u2013\n3.000\n"));
}

TEST_CASE("what is not a number is named and leaves a gap") {
  RunReport r;
  r.series = {{"loss", {1, nan_value, 0.5, infinite, -infinite, 0.25, 0.2}}, {"all", {nan_value, nan_value}}};
  const std::string text = to_html(r);
  const markup::Page page(text);
  CHECK(page.error() == "");
  const std::string cells = text_of(page, "td");
  for (const char* what : {"NaN\n", "Inf\n", "\u2212Inf\n"}) CHECK(contains(cells, what));
  CHECK(contains(text_of(page, "p", "warn"), "Loss was NaN in epoch 2."));
  CHECK(contains(text, "no finite value"));
  CHECK(page.of("rect", "gap").size() == 4);
  // Alone, 1 and 0.5 are dots; the last two epochs are joined.
  const auto lines = page.of("path", "line");
  REQUIRE(lines.size() == 1);
  CHECK(occurrences(lines[0]->attribute("d"), "L") == 1);
  CHECK_FALSE(contains(text, "nan"));
  for (const markup::Element& e : page.elements())
    for (const char* at : {"d", "cx", "cy", "x", "x1", "y", "y1", "width"})
      CHECK_FALSE(contains(e.attribute(at), "inf"));
}

TEST_CASE("the confusion matrix has its counts, recall and precision") {
  RunReport r;
  r.confusion = {{"cat", "dog", "emu"}, {8, 2, 0, 1, 1234, 0, 0, 0, 0}};
  const markup::Page page(to_html(r));
  CHECK(page.error() == "");
  CHECK(text_of(page, "td", "hit") == "8\n1,234\n");
  CHECK(text_of(page, "td", "miss") == "2\n1\n");
  CHECK(page.of("td", "zero").size() == 5);
  // recall of each row, then precision of each column and the share of all that is right
  CHECK(text_of(page, "td", "sum") == "80.0%\n99.9%\n\u2013\n88.9%\n99.8%\n\u2013\n99.8%\n");
  CHECK(contains(text_of(page, "p", "lead"), "1,242 of 1,245 examples right, 99.8%."));
  CHECK(text_of(page, "span", "pair") == "cat \u2192 dog\ndog \u2192 cat\n");

  r.confusion.counts.pop_back();
  CHECK_THROWS_AS(to_html(r), ValueError);
  r.confusion.counts.push_back(-1);
  CHECK_THROWS_AS(to_html(r), ValueError);
}

TEST_CASE("pictures that are none are refused") {
  RunReport r;
  for (const Picture& p :
       {Picture{3, 2, 2, {1, 2}}, Picture{2, 1, 1, {1, 2}}, Picture{}, Picture{1, -1, -1, {1}},
        Picture{1, std::int64_t{1} << 40, std::int64_t{1} << 40, {}}}) {
    r.mistakes = {{p, "a", "b", 1, 1}};
    CHECK_THROWS_AS(to_html(r), ValueError);
  }
}

TEST_CASE("a page stays small, whatever goes in") {
  CHECK(to_html(full()).size() < 250'000);
  RunReport r;
  r.series = {{"loss", {}}, {"val_loss", {}}, {"lr", {}}};
  for (int i = 0; i < 200'000; ++i)
    for (Series& s : r.series) s.values.push_back(1 + std::sin(i * 0.37) + 1e-6 * i);
  const std::size_t n = 1000;
  for (std::size_t i = 0; i < n; ++i) r.confusion.classes.push_back("class " + std::to_string(i));
  for (std::size_t i = 0; i < n * n; ++i)
    r.confusion.counts.push_back(static_cast<std::int64_t>(i * 7919 % 13));
  for (int i = 0; i < 24; ++i) r.mistakes.push_back({picture(3, 600, 400), "a", "b", 0.5, 1});
  const std::string text = to_html(r);
  const markup::Page page(text);
  CHECK(page.error() == "");
  CHECK(text.size() < 2'500'000);
  CHECK(contains(text_of(page, "p", "note"), "Every 200 epochs"));
}

TEST_CASE("write_report replaces the file with the page") {
  const std::string path =
      std::filesystem::temp_directory_path() / ("report-" + std::to_string(getpid()) + ".html");
  write_report(path, {});
  write_report(path, full());
  const auto bytes = io::read_file(path, 1 << 20);
  CHECK(std::string(bytes.begin(), bytes.end()) == to_html(full()));
  std::filesystem::remove(path);
  CHECK_THROWS_AS(write_report("/nowhere/at/all.html", full()), IoError);
}

TEST_CASE("numbers as people read them") {
  using namespace thalweg::train::html;
  CHECK(number(0.41234) == "0.4123");
  CHECK(number(12.345678) == "12.35");
  CHECK(number(999.96) == "1,000");
  CHECK(number(9236618) == "9,236,618");
  CHECK(number(-0.5) == "\u22120.5000");
  CHECK(number(3.24e-5) == "3.24e-5");
  CHECK(number(1e300) == "1e300");
  CHECK(number(0) == "0");
  CHECK(compact(0.001) == "0.001");
  CHECK(compact(1e-4) == "1e-4");
  CHECK(compact(1500) == "1,500");
  CHECK(compact(20) == "20");
  CHECK(thousands(-1234567) == "\u22121,234,567");
  CHECK(thousands(-123) == "\u2212123");
  CHECK(percent(0.87306) == "87.31%");
  CHECK(percent(nan_value) == "NaN");
  CHECK(duration(0.0123) == "12 ms");
  CHECK(duration(59.97) == "1 min 00 s");
  CHECK(duration(185) == "3 min 05 s");
  CHECK(duration(8040) == "2 h 14 min");
  CHECK(duration(3600 * 76) == "3 d 4 h");
  CHECK(label("val_top_5_accuracy") == "Validation top 5 accuracy");
}

// What the process sets for itself and the library must not pick up: a locale that groups digits and writes a
// decimal comma, rounding and flushing of denormals. (Threads under a changed float environment:
// test_par.cpp.)
#include <doctest/doctest.h>

#include <cfenv>
#include <locale>
#include <sstream>
#include <string>
#include <vector>

#include <thalweg/io/safetensors.hpp>
#include <thalweg/thalweg.hpp>
#include <thalweg/train/json.hpp>

#include "../../examples/common/options.hpp"
#include "io/files.hpp"

namespace tw = thalweg;
using tw::Tensor;

namespace {

/// 1234.5 is written 1.234,5 while this lives.
class Commas {
 public:
  Commas() : before_(std::locale::global(std::locale(std::locale(), new Marks))) {
    std::ostringstream out;
    out << 1234.5;
    REQUIRE(out.str() == "1.234,5");
  }
  Commas(const Commas&) = delete;
  Commas& operator=(const Commas&) = delete;
  ~Commas() { std::locale::global(before_); }

 private:
  struct Marks : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  std::locale before_;
};

/// Texts that people and programs read, and what was parsed from texts.
std::vector<std::string> texts() {
  std::vector<std::string> all;
  const Tensor t = tw::from<float>({1234.5f, 0.25f});
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << t;
  all.push_back(out.str());
  all.push_back(tw::train::json_number(1234567.25));
  tw::nn::Sequential model(tw::nn::Linear({.in = 2000, .out = 1000}), tw::nn::Dropout({.p = 0.25}));
  all.push_back(tw::nn::describe(model));
  all.push_back(to_string(tw::nn::summary(model, {1, 2000})));
  try {
    tw::dropout(t, 1234.5, *std::make_unique<tw::Generator>(1));
  } catch (const tw::ValueError& e) {
    all.push_back(e.given());
  }
  const tw::test::TempDir dir;
  tw::io::save(dir / "t", {{"t", tw::zeros({1234})}});
  all.push_back(tw::io::load_file(dir / "t").at("t").describe());
  const examples::Program program{
      .name = "trial", .data = "Trial", .about = "Trains.\n", .models = {"mlp"}, .data_dir = "files"};
  const char* words[] = {"trial", "--lr", "1234.5", "--epochs", "1234"};
  const examples::Options o = examples::parse_options(program, 5, words);
  all.push_back(std::to_string(o.lr) + " " + std::to_string(o.epochs));
  all.push_back(examples::help_text(program));
  return all;
}

}  // namespace

TEST_CASE("a locale of decimal commas changes neither what is written nor what is read") {
  const std::vector<std::string> expected = texts();
  CHECK(expected[1] == "1234567.25");
  const Commas locale;
  CHECK(texts() == expected);
}

TEST_CASE(
    "rounding and flushing that the caller has set change no result, small or large, and are still set "
    "after") {
  constexpr unsigned flush = 0x8040;  // flush to zero, denormals are zero
  const auto results = [](std::int64_t n) {
    Tensor x = tw::full({n, n}, 1e-30f).set_requires_grad();
    const Tensor y = (x * 1e-10f + tw::full({n, n}, 1.0f) / 3.0f);
    (tw::matmul(x, y) * x).sum().backward();
    const Tensor z = x * 1e-10f;  // denormal
    std::vector<float> all(z.data<float>(), z.data<float>() + z.numel());
    for (const Tensor& t : {y, x.grad()}) all.insert(all.end(), t.data<float>(), t.data<float>() + t.numel());
    return all;
  };
  for (std::int64_t n : {1, 3, 300}) {
    const std::vector<float> expected = results(n);
    CHECK(expected[0] != 0);
    const unsigned saved = __builtin_ia32_stmxcsr();
    std::fesetround(FE_UPWARD);
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | flush);
    const std::vector<float> got = results(n);
    const unsigned after = __builtin_ia32_stmxcsr();
    std::fesetround(FE_TONEAREST);
    __builtin_ia32_ldmxcsr(saved);
    CHECK((got == expected));
    CHECK((after & (flush | 0x6000u)) == (flush | 0x4000u));
  }
}

// docs/reliability.md tells no tale: each file it names exists, and each test case it names stands in the
// file named before it. Depends on the standard library and doctest.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path root{THALWEG_SOURCE_DIR};

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  REQUIRE_MESSAGE(in.good(), path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Claim {
  std::string file, test;  // a test is empty where the file alone is named
};

/// What a page claims: `path/of.file` in backticks, and each "test case" after a file of tests in the same
/// paragraph or item. Line breaks inside a name count as a space.
std::vector<Claim> claims_of(const std::string& page) {
  std::vector<Claim> claims;
  std::string file, joined;
  for (std::size_t i = 0; i < page.size(); ++i) {  // one line for each paragraph or item
    const bool wraps = page[i] == '\n' && page.compare(i, 3, "\n  ") == 0;
    joined += wraps ? ' ' : page[i];
    if (wraps) i += 2;
  }
  for (std::size_t i = 0; i < joined.size(); ++i) {
    const char mark = joined[i];
    if (mark == '\n') file.clear();
    if (mark != '`' && mark != '"') continue;
    const std::size_t end = joined.find(mark, i + 1);
    REQUIRE_MESSAGE(end != std::string::npos, joined.substr(i, 40));
    std::string inside = joined.substr(i + 1, end - i - 1);
    i = end;
    if (mark == '"' && !file.empty()) {
      claims.push_back({file, std::move(inside)});
    } else if (mark == '`') {
      inside = inside.substr(0, inside.find(' '));
      const std::size_t slash = inside.find('/');
      if (slash == std::string::npos || slash == 0 || !fs::exists(root / inside.substr(0, slash)) ||
          inside.starts_with("build/"))
        continue;
      claims.push_back({inside, {}});
      file = inside.starts_with("tests/") && inside.ends_with(".cpp") ? inside : std::string();
    }
  }
  return claims;
}

/// The names of the test cases in a source, each in one piece.
std::vector<std::string> cases_of(const std::string& source) {
  std::vector<std::string> names;
  for (std::size_t at = 0; (at = source.find("TEST_CASE", at)) != std::string::npos;) {
    at = source.find_first_of("(\n", at);
    std::string name;
    for (at = source.find_first_not_of("( \n", at); at < source.size() && source[at] == '"';
         at = source.find_first_not_of(" \n", at)) {
      const std::size_t end = source.find('"', at + 1);
      name += source.substr(at + 1, end - at - 1);
      at = end + 1;
    }
    if (!name.empty()) names.push_back(std::move(name));
  }
  return names;
}

bool holds(const Claim& claim) {
  if (!fs::exists(root / claim.file)) return false;
  if (claim.test.empty()) return true;
  const std::vector<std::string> names = cases_of(text_of(root / claim.file));
  return std::ranges::find(names, claim.test) != names.end();
}

}  // namespace

TEST_CASE("claims are found, and false ones are noticed") {
  const std::vector<Claim> claims = claims_of(
      "- A word: `tests/docs/test_reliability.cpp`: \"claims are found,\n  and false ones are noticed\"; "
      "`ops/none.hpp`.\n"
      "- Another \"quotation\" and `backward()`.\n");
  REQUIRE(claims.size() == 3);
  CHECK(holds(claims[0]));
  CHECK(claims[1].test == "claims are found, and false ones are noticed");
  CHECK(holds(claims[1]));
  CHECK_FALSE(holds({claims[1].file, "claims are found"}));
  CHECK(claims[2].file == "ops/none.hpp");
  CHECK_FALSE(holds(claims[2]));
}

TEST_CASE("reliability.md names tests that exist, for every promise") {
  const std::string page = text_of(root / "docs/reliability.md");
  std::size_t promises = 0;
  for (std::size_t at = page.find("\n## "); at != std::string::npos;) {
    const std::size_t next = page.find("\n## ", at + 1);
    const std::string part = page.substr(at, next - at);
    std::size_t tests = 0;
    for (const Claim& claim : claims_of(part)) {
      tests += claim.test.empty() ? 0 : 1;
      if (!holds(claim))
        FAIL_CHECK("docs/reliability.md: no " << claim.file << (claim.test.empty() ? "" : ": ")
                                              << claim.test);
    }
    if (part.size() > 5 && part[4] >= '1' && part[4] <= '9') {
      ++promises;
      CHECK_MESSAGE(tests >= 3, part.substr(0, 60));
    }
    at = next;
  }
  CHECK(promises == 9);
}

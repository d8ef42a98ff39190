// The pages cannot lie: every ```cpp block of README.md, CONTRIBUTING.md and docs/*.md stands, but for
// indentation, in a source that the build compiles and runs: a file of tests/docs/ or examples/.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

std::string trimmed(const std::string& line) {
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

Lines lines_of(std::istream& in) {
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(trimmed(line));
  return lines;
}

struct Block {
  std::size_t line = 0;  // of its first line, counted from 1
  Lines code;
};

/// The ```cpp blocks of a page, blank lines at their ends left out.
std::vector<Block> cpp_blocks(const Lines& page) {
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < page.size(); ++i) {
    if (!page[i].starts_with("```")) continue;
    const bool cpp = page[i] == "```cpp" || page[i] == "```c++" || page[i].starts_with("```cpp ");
    Block block{i + 2, {}};
    for (++i; i < page.size() && page[i] != "```"; ++i) block.code.push_back(page[i]);
    while (!block.code.empty() && block.code.back().empty()) block.code.pop_back();
    if (cpp && !block.code.empty()) blocks.push_back(std::move(block));
  }
  return blocks;
}

bool stands_in(const Lines& code, const Lines& source) {
  return std::search(source.begin(), source.end(), code.begin(), code.end()) != source.end();
}

Lines read(const fs::path& path) {
  std::ifstream in(path);
  REQUIRE_MESSAGE(in.good(), path.string());
  return lines_of(in);
}

std::vector<fs::path> pages() {
  const fs::path root{THALWEG_SOURCE_DIR};
  std::vector<fs::path> found;
  for (const char* name : {"README.md", "CONTRIBUTING.md"})
    if (fs::exists(root / name)) found.push_back(root / name);
  for (const auto& entry : fs::directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

std::vector<Lines> compiled() {
  const fs::path root{THALWEG_SOURCE_DIR};
  std::vector<Lines> found;
  for (const char* folder : {"tests/docs", "examples"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.path().extension() == ".cpp") found.push_back(read(entry.path()));
  return found;
}

}  // namespace

TEST_CASE("blocks are found, and a changed word is noticed") {
  std::istringstream text("a\n```cpp\n  int x = 1;\n\n  f(x);\n\n```\n```sh\nls\n```\n```cpp\n```\n");
  const std::vector<Block> blocks = cpp_blocks(lines_of(text));
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].line == 3);
  CHECK(blocks[0].code == Lines{"int x = 1;", "", "f(x);"});
  std::istringstream same("{\n    int x = 1;\n\n    f(x);\n}\n"),
      other("{\n    int x = 2;\n\n    f(x);\n}\n");
  CHECK(stands_in(blocks[0].code, lines_of(same)));
  CHECK(!stands_in(blocks[0].code, lines_of(other)));
}

TEST_CASE("every C++ block of the pages is compiled code") {
  const std::vector<Lines> sources = compiled();
  REQUIRE(sources.size() >= 3);
  std::size_t blocks = 0;
  for (const fs::path& page : pages())
    for (const Block& block : cpp_blocks(read(page))) {
      ++blocks;
      const bool found =
          std::ranges::any_of(sources, [&](const Lines& s) { return stands_in(block.code, s); });
      if (!found) {
        std::string code;
        for (const std::string& line : block.code) code += line + "\n";
        FAIL_CHECK(page.filename().string()
                   << ":" << block.line << ": this block stands in no file of tests/docs/ or examples/:\n"
                   << code);
      }
    }
  CHECK(blocks >= 5);
}

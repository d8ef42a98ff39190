// The tree's own rules, read from its `#include` lines: floors, which library is included where, file length.
// Depends on the standard library and doctest only. Invariant: `breach` alone decides; the walk over the tree
// only feeds it, so the planted breaches in the first test case show that the walk can fail.
#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct Floor {
  std::string_view prefix;
  int level;
};

// Longest prefixes first. Folders on one level do not see each other, but for the engine's, which are one
// thing. Pointwise formulas lie below the kernels that are made from them; tensors are filled, copied and
// printed by kernels; data sets are read through io's byte sources.
constexpr std::array floors{
    Floor{"autograd/thalweg.hpp", 60},
    Floor{"thalweg.hpp", 60},
    Floor{"op.hpp", 40},
    Floor{"autograd/base/", 10},
    Floor{"ops/pointwise/", 15},
    Floor{"ops/kernels/", 20},
    Floor{"autograd/tensor/", 25},
    Floor{"autograd/", 30},
    Floor{"ops/", 40},
    Floor{"io/", 45},
    Floor{"nn/", 50},
    Floor{"optim/", 50},
    Floor{"check/", 50},
    Floor{"data/", 50},
    Floor{"train/", 55},
    Floor{"examples/", 70},
    Floor{"tests/", 70},
    Floor{"bench/", 70},
    Floor{"tools/", 70},
};
constexpr Floor ops_floor{"ops/", 40};

const Floor* floor_of(std::string_view path) {
  // What makes ops of the formulas is a source of the ops floor; nothing can include it.
  if (path.starts_with("ops/pointwise/") && path.ends_with(".cpp")) return &ops_floor;
  for (const Floor& floor : floors)
    if (path.starts_with(floor.prefix)) return &floor;
  return nullptr;
}

bool is_library(std::string_view path) {
  const Floor* floor = floor_of(path);
  return floor != nullptr && floor->level < 70;
}

// Why `file` (relative to the root) may not include `name` (as written between the brackets); "" when it may.
std::string floor_breach(std::string_view file, std::string_view name) {
  const Floor* from = floor_of(file);
  const Floor* to = floor_of(name);
  if (to == nullptr) return "no folder of the tree holds it";
  if (from == nullptr || from->prefix == to->prefix) return {};
  const bool same_short_name = from->prefix == "op.hpp" || to->prefix == "op.hpp";
  if (to->level < from->level || (to->level == from->level && same_short_name)) return {};
  return "it lies on the same floor or above";
}

std::string library_breach(std::string_view file, std::string_view name) {
  const bool header = file.ends_with(".hpp");
  const auto starts = [name](std::string_view prefix) { return name.starts_with(prefix); };
  const bool tasks_of_users = file == "tests/reliability/test_threads.cpp";
  if ((starts("tbb/") || starts("oneapi/tbb")) && file != "ops/kernels/par.cpp" && !tasks_of_users)
    return "oneTBB is included by ops/kernels/par.cpp alone";
  if (starts("boost/program_options")) {
    if (is_library(file)) return "Program_options belongs to the command lines of examples and tools";
  } else if (starts("boost/") && file != "autograd/graph/graph_view.cpp") {
    return "Boost.Graph is included by autograd/graph/graph_view.cpp alone";
  }
  if (starts("fmt/") && header && is_library(file)) return "fmt is for .cpp files, not for public headers";
  if (starts("hwy/") && header && is_library(file) && file != "ops/op.hpp" &&
      !file.starts_with("ops/kernels/simd/"))
    return "Highway is in no public header but ops/op.hpp";
  if (starts("doctest/") && !file.starts_with("tests/")) return "doctest is for tests";
  return {};
}

struct Include {
  std::string name;
  bool quoted;
};

std::string breach(std::string_view file, const Include& include) {
  if (include.quoted) {
    if (is_library(file)) return "library files include by <thalweg/...>, not by a relative path";
    return {};
  }
  constexpr std::string_view ours = "thalweg/";
  if (include.name.starts_with(ours))
    return floor_breach(file, std::string_view{include.name}.substr(ours.size()));
  return library_breach(file, include.name);
}

struct Source {
  std::string path;  // relative to the root, with forward slashes
  std::vector<std::string> lines;
  std::vector<Include> includes;
};

std::vector<Include> includes_of(const std::vector<std::string>& lines) {
  std::vector<Include> found;
  for (const std::string& line : lines) {
    const auto skip = [&line](size_t at) { return line.find_first_not_of(" \t", at); };
    size_t at = skip(0);
    if (at == std::string::npos || line[at] != '#') continue;
    at = skip(at + 1);
    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
    at = skip(at + 7);
    if (at == std::string::npos || (line[at] != '<' && line[at] != '"')) continue;
    const size_t end = line.find(line[at] == '<' ? '>' : '"', at + 1);
    if (end != std::string::npos) found.push_back({line.substr(at + 1, end - at - 1), line[at] == '"'});
  }
  return found;
}

const std::vector<Source>& tree() {
  static const std::vector<Source> sources = [] {
    std::vector<Source> found;
    const fs::path root{THALWEG_SOURCE_DIR};
    for (const char* folder : {"autograd", "ops", "check", "nn", "optim", "data", "io", "train", "examples",
                               "tests", "bench", "tools"}) {
      if (!fs::exists(root / folder)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".cpp" && extension != ".hpp" && extension != ".inl") continue;
        Source source{fs::relative(entry.path(), root).generic_string(), {}, {}};
        std::ifstream in(entry.path());
        for (std::string line; std::getline(in, line);) source.lines.push_back(line);
        source.includes = includes_of(source.lines);
        found.push_back(std::move(source));
      }
    }
    std::ranges::sort(found, {}, &Source::path);
    return found;
  }();
  return sources;
}

bool gives_a_reason(const Source& source) {
  const size_t top = std::min<size_t>(source.lines.size(), 12);
  return std::any_of(source.lines.begin(), source.lines.begin() + static_cast<std::ptrdiff_t>(top),
                     [](const std::string& line) { return line.find("reason") != std::string::npos; });
}

}  // namespace

TEST_CASE("a planted breach of each rule is seen") {
  const auto bad = [](std::string_view file, const char* name) {
    return !breach(file, {name, false}).empty();
  };
  CHECK(bad("autograd/base/dims.hpp", "thalweg/autograd/tensor/tensor.hpp"));
  CHECK(bad("ops/kernels/unary.cpp", "thalweg/autograd/tensor/tensor.hpp"));
  CHECK(bad("ops/kernels/unary.cpp", "thalweg/ops/op.hpp"));
  CHECK(bad("autograd/tensor/print.cpp", "thalweg/autograd/graph/node.hpp"));
  CHECK(bad("autograd/engine/engine.cpp", "thalweg/ops/functions.hpp"));
  CHECK(bad("ops/pointwise/tanh.inl", "thalweg/ops/kernels/pointwise.hpp"));
  CHECK(bad("nn/linear.cpp", "thalweg/optim/adam.hpp"));
  CHECK(bad("io/safetensors.cpp", "thalweg/data/idx.hpp"));
  CHECK(bad("ops/loss.cpp", "thalweg/nn/module.hpp"));
  CHECK(bad("nn/linear.hpp", "thalweg/thalweg.hpp"));
  CHECK(bad("nn/linear.hpp", "thalweg/nowhere/x.hpp"));
  CHECK(bad("ops/kernels/gemm.cpp", "tbb/parallel_for.h"));
  CHECK(bad("train/fit.cpp", "oneapi/tbb/task_group.h"));
  CHECK(bad("autograd/graph/node.cpp", "boost/graph/adjacency_list.hpp"));
  CHECK(bad("train/fit.cpp", "boost/program_options.hpp"));
  CHECK(bad("ops/registry.hpp", "fmt/format.h"));
  CHECK(bad("ops/registry.hpp", "hwy/highway.h"));
  CHECK(bad("check/certify.cpp", "doctest/doctest.h"));
  CHECK_FALSE(breach("nn/linear.cpp", {"module.hpp", true}).empty());

  CHECK_FALSE(bad("autograd/engine/engine.cpp", "thalweg/autograd/graph/node.hpp"));
  CHECK_FALSE(bad("ops/unary.cpp", "thalweg/ops/kernels/unary.hpp"));
  CHECK_FALSE(bad("ops/unary.cpp", "thalweg/op.hpp"));
  CHECK_FALSE(bad("ops/op.hpp", "hwy/highway.h"));
  CHECK_FALSE(bad("tools/certify.cpp", "boost/program_options.hpp"));
  CHECK_FALSE(bad("ops/kernels/par.cpp", "tbb/parallel_for.h"));
  CHECK_FALSE(bad("nn/linear.cpp", "fmt/format.h"));
  CHECK(includes_of({"  #  include <a.h>  // why", "//#include <b.h>", "#include \"c.h\"", "#define X"})
            .size() == 2);
}

TEST_CASE("every include goes down a floor, and each library stays where it belongs") {
  REQUIRE(tree().size() > 20);
  for (const Source& source : tree()) {
    for (const Include& include : source.includes) {
      const std::string why = breach(source.path, include);
      if (!why.empty()) FAIL_CHECK(source.path << " includes " << include.name << ": " << why);
    }
  }
}

TEST_CASE("a file of over 400 lines says its reason in its first lines") {
  for (const Source& source : tree())
    if (source.lines.size() > 400 && !gives_a_reason(source))
      FAIL_CHECK(source.path << " has " << source.lines.size() << " lines and gives no reason");
}

TEST_CASE("the umbrella reaches no slow third-party header") {
  std::map<std::string, const Source*> by_path;
  for (const Source& source : tree()) by_path[source.path] = &source;
  std::set<std::string> seen{"autograd/thalweg.hpp"};
  std::deque<std::string> todo{"autograd/thalweg.hpp"};
  REQUIRE(by_path.contains(todo.front()));
  while (!todo.empty()) {
    const std::string path = todo.front();
    todo.pop_front();
    const auto at = by_path.find(path);
    if (at == by_path.end()) continue;
    for (const Include& include : at->second->includes) {
      for (const char* slow : {"hwy/", "fmt/", "tbb/", "oneapi/", "boost/"})
        if (include.name.starts_with(slow))
          FAIL_CHECK("<thalweg/thalweg.hpp> reaches " << include.name << " through " << path);
      std::string name = include.name.starts_with("thalweg/") ? include.name.substr(8) : std::string{};
      if (name == "op.hpp") name = "ops/op.hpp";
      if (!name.empty() && seen.insert(name).second) todo.push_back(name);
    }
  }
}

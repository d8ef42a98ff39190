// Depends on files.hpp, fmt. THALWEG_MNIST_SUBSET and ..._INSTALLED are set by the build: the subset's
// places.
#include "files.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>

namespace mnist {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& p) {
  std::error_code ignored;
  return fs::exists(p, ignored);
}

/// The first of the four files that is not in `dir` under any of its spellings; empty when all are there.
std::string missing_file(const fs::path& dir) {
  for (const std::string stem : {"train-images", "train-labels", "t10k-images", "t10k-labels"}) {
    const std::string rank = stem.ends_with("images") ? "idx3-ubyte" : "idx1-ubyte";
    bool found = false;
    for (const char* separator : {"-", "."})
      for (const char* suffix : {"", ".gz"})
        found = found || is_there(dir / (stem + separator + rank + suffix));
    if (!found) return stem + "-" + rank;
  }
  return {};
}

/// Where to look, in this order; the last is what the message about a missing file names.
std::vector<fs::path> places(const std::string& data_dir) {
  if (!data_dir.empty()) return {data_dir};
  const char* data = std::getenv("THALWEG_DATA");
  if (!data || !*data) return {};
  return {fs::path(data), fs::path(data) / "mnist"};
}

fs::path subset() {
  for (const fs::path dir : {THALWEG_MNIST_SUBSET, THALWEG_MNIST_SUBSET_INSTALLED})
    if (missing_file(dir).empty()) return dir;
  thalweg::throw_error<thalweg::IoError>({.op = "mnist",
                                          .arg = THALWEG_MNIST_SUBSET,
                                          .what = "no MNIST files there, and the subset is missing too"});
}

fs::path find_directory(const std::string& data_dir) {
  const std::vector<fs::path> candidates = places(data_dir);
  for (const fs::path& dir : candidates)
    if (missing_file(dir).empty()) return dir;
  const std::string why = candidates.empty() ? "neither --data-dir nor THALWEG_DATA says where MNIST is"
                                             : fmt::format("no {} in {}", missing_file(candidates.back()),
                                                           candidates.back().string());
  fmt::print(stderr, "mnist: {}; using the small subset that comes with the sources\n", why);
  return subset();
}

}  // namespace

Images load_images(const std::string& data_dir) {
  using thalweg::data::load_mnist;
  using thalweg::data::Split;
  const std::string dir = find_directory(data_dir).string();
  return {load_mnist(dir, Split::train), load_mnist(dir, Split::test), dir};
}

}  // namespace mnist

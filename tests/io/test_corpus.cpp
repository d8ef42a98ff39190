// The seeds and found cases of tests/fuzz, and some thousand mutations of each, through the parsers: they
// load or throw a FormatError, nothing else. The fuzz targets themselves need clang and time; this runs
// everywhere.
#include <algorithm>
#include <filesystem>

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/data/cifar.hpp>
#include <thalweg/data/idx.hpp>
#include <thalweg/io/safetensors.hpp>

#include "files.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

/// One to four changes: a bit, a byte, a cut, a repeat.
Bytes mutated(Bytes b, std::uint64_t file, std::uint64_t round) {
  const PhiloxBlock first = philox(1, file, round * 8);
  for (std::uint64_t i = 0; i <= first[0] % 4 && !b.empty(); ++i) {
    const PhiloxBlock r = philox(1, file, round * 8 + 1 + i);
    const std::size_t at = r[0] % b.size();
    switch (r[1] % 4) {
      case 0:
        b[at] = static_cast<std::uint8_t>(b[at] ^ 1u << r[2] % 8);
        break;
      case 1:
        b[at] = static_cast<std::uint8_t>(r[2]);
        break;
      case 2:
        b.resize(at);
        break;
      default:
        b.insert(b.begin() + static_cast<std::ptrdiff_t>(at), b[r[2] % b.size()]);
    }
  }
  return b;
}

/// Files that load and files that are refused among the seeds in `folder`; mutations must do one or the
/// other.
template <class F>
std::pair<int, int> replay(const std::string& folder, F load) {
  std::vector<std::string> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(THALWEG_SOURCE_DIR) + "/tests/fuzz/corpus/" + folder))
    paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  const auto loads = [&](const Bytes& bytes) {
    try {
      load(bytes);
      return true;
    } catch (const FormatError&) {
      return false;
    }
  };
  int good = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    CAPTURE(paths[i]);
    const Bytes seed = slurp(paths[i]);
    good += loads(seed);
    for (std::uint64_t round = 0; round < 2000; ++round) {
      CAPTURE(round);
      CHECK_NOTHROW(loads(mutated(seed, i, round)));
    }
  }
  return {good, static_cast<int>(paths.size()) - good};
}

}  // namespace

TEST_CASE("corpus: IDX seeds and their mutations load or are refused") {
  const auto [good, bad] = replay("idx", [](const Bytes& b) {
    data::to_tensor(data::read_idx(b, "seed", {.base = 1 << 20, .ratio = 32}));
  });
  CHECK(good == 9);
  CHECK(bad == 1);
}

TEST_CASE("corpus: safetensors seeds and their mutations load or are refused") {
  const auto [good, bad] = replay("safetensors", [](const Bytes& b) { io::load_file(b, "seed"); });
  CHECK(good == 4);
  CHECK(bad == 3);
}

TEST_CASE("corpus: CIFAR-10 seeds and their mutations load or are refused") {
  const auto [good, bad] =
      replay("cifar", [](const Bytes& b) { data::read_cifar10(b, "seed", data::CifarFiles::partial); });
  CHECK(good == 1);
  CHECK(bad == 1);
}

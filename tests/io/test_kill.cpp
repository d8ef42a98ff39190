// A process that saves over and over is killed at random moments: whatever it left is one whole file.
#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/safetensors.hpp>

#include "files.hpp"

using namespace thalweg;
using namespace thalweg::test;

TEST_CASE("safetensors: killed at any moment of saving, the file that stands is whole") {
  TempDir dir;
  const std::string path = dir / "model";
  io::save(path, {{"a", zeros({50000})}});
  float newest = 0;
  for (std::uint64_t round = 0; round < 40; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      try {
        for (int i = 1;; ++i) io::save(path, {{"a", full({50000 + i}, newest + static_cast<float>(i))}});
      } catch (...) {
        ::_exit(1);  // not into the parent's test runner
      }
    }
    ::usleep(static_cast<useconds_t>(500 + philox(1, 0, round)[0] % 10000));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const io::NamedTensors got = io::load(path);
    const auto values = got.at(0).second.span<float>();
    CHECK(values[0] >= newest);
    int torn = 0;
    for (float v : values) torn += v != values[0];
    CHECK(torn == 0);
    newest = values[0];
  }
  CHECK(newest > 0);
}

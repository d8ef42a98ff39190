// libFuzzer target for data/idx: any bytes give an IdxFile that agrees with itself, or a FormatError.
// Not part of the normal build; tests/fuzz/run says how it is made.
#include <cstdlib>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/data/idx.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace thalweg;
  try {
    data::IdxFile file = data::read_idx({data, size}, "fuzz", {.base = 1 << 16, .ratio = 32});
    const auto n = static_cast<std::uint64_t>(numel(file.header.dims));
    if (file.bytes.size() != n * data::itemsize(file.header.type)) std::abort();
    if (file.bytes.size() > (1 << 16) + 32 * size) std::abort();
    if (static_cast<std::uint64_t>(data::to_tensor(std::move(file)).numel()) != n) std::abort();
  } catch (const FormatError&) {
  }
  return 0;
}

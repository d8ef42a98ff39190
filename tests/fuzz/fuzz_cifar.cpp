// libFuzzer target for data/cifar: any bytes give records that are those bytes, or a FormatError.
// Not part of the normal build; tests/fuzz/run says how it is made.
#include <algorithm>
#include <cstdlib>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/data/cifar.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace thalweg;
  constexpr std::size_t pixels = 3 * 32 * 32, record = 1 + pixels;
  try {
    const data::CifarData got = data::read_cifar10({data, size}, "fuzz", data::CifarFiles::partial);
    const auto n = static_cast<std::size_t>(got.labels.numel());
    if (n * record != size || got.images.shape() != Dims{got.labels.numel(), 3, 32, 32}) std::abort();
    for (std::size_t r = 0; r < n; ++r) {
      const std::uint8_t label = got.labels.data<std::uint8_t>()[r], *from = data + r * record;
      if (label > 9 || label != *from) std::abort();
      if (!std::equal(from + 1, from + record, got.images.data<std::uint8_t>() + r * pixels)) std::abort();
    }
  } catch (const FormatError&) {
  }
  return 0;
}

// libFuzzer target for the safetensors header alone: the input is the JSON, so that no mutation is spent on
// making the length field fit; its first two bytes are the number of data bytes.
#include <cstdlib>
#include <string_view>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/safetensors_header.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace thalweg;
  if (size < 2) return 0;
  const std::uint64_t payload = std::uint64_t{data[0]} << 8 | data[1];
  try {
    const io::SafetensorsHeader header =
        io::parse_header({reinterpret_cast<const char*>(data) + 2, size - 2}, payload, "fuzz");
    std::uint64_t at = 0;
    for (const io::TensorEntry& e : header.entries) {
      if (e.begin != at || e.end < e.begin) std::abort();
      if (e.end - e.begin != static_cast<std::uint64_t>(numel(e.shape)) * itemsize(e.dtype)) std::abort();
      at = e.end;
    }
    if (at != payload) std::abort();
  } catch (const FormatError&) {
  }
  return 0;
}

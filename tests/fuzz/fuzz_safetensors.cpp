// libFuzzer target for io/safetensors: any bytes are refused with a FormatError, or are a file whose header,
// written again, is read as the same. Not part of the normal build; tests/fuzz/run says how it is made.
#include <cstdlib>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/io/safetensors_header.hpp>

namespace {

void check_round_trip(const thalweg::io::TensorFile& file, std::size_t payload) {
  using namespace thalweg;
  io::SafetensorsHeader header{.entries = {}, .metadata = file.metadata};
  std::uint64_t end = 0;
  for (const auto& [name, t] : file.tensors) {
    const std::uint64_t begin = end;
    end += static_cast<std::uint64_t>(t.numel()) * itemsize(t.dtype());
    header.entries.push_back(
        {.name = name, .dtype = t.dtype(), .shape = t.shape(), .begin = begin, .end = end});
  }
  if (end != payload) std::abort();
  const io::SafetensorsHeader again = io::parse_header(io::header_text(header), end, "again");
  if (again.metadata != header.metadata || again.entries.size() != header.entries.size()) std::abort();
  for (std::size_t i = 0; i < again.entries.size(); ++i) {
    const io::TensorEntry &a = again.entries[i], &b = header.entries[i];
    if (a.name != b.name || a.dtype != b.dtype || !(a.shape == b.shape) || a.begin != b.begin ||
        a.end != b.end)
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace thalweg;
  try {
    const io::TensorFile file = io::load_file({data, size}, "fuzz");
    std::uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | data[i];
    check_round_trip(file, size - 8 - static_cast<std::size_t>(length));
  } catch (const FormatError&) {
  }
  return 0;
}

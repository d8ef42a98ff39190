// libFuzzer target for gzipped IDX: the input is packed correctly, then one byte of the packed form is
// changed. Random bytes would hardly ever pass gzip's checksum; this reaches the reader behind it.
#include <cstdlib>
#include <cstring>
#include <vector>

#include <zlib.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/data/idx.hpp>

namespace {

std::vector<std::uint8_t> gzip(const std::uint8_t* data, std::size_t size) {
  z_stream z{};
  if (deflateInit2(&z, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  std::vector<std::uint8_t> out(deflateBound(&z, static_cast<uLong>(size)) + 32);
  z.next_in = const_cast<Bytef*>(data);
  z.avail_in = static_cast<uInt>(size);
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(out.size());
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace thalweg;
  if (size < 3) return 0;
  std::vector<std::uint8_t> packed = gzip(data + 3, size - 3);
  const std::size_t at = (std::size_t{data[0]} << 8 | data[1]) % packed.size();
  packed[at] = static_cast<std::uint8_t>(packed[at] ^ data[2]);  // by 0: the packed form stays good
  try {
    const data::IdxFile file = data::read_idx(packed, "fuzz", {.base = 1 << 16, .ratio = 32});
    const std::size_t head = file.header.bytes();
    if (file.bytes.size() + head > size - 3) std::abort();
    if (data::itemsize(file.header.type) == 1 && !file.bytes.empty() &&
        std::memcmp(file.bytes.data(), data + 3 + head, file.bytes.size()) != 0)
      std::abort();  // a changed byte got through the checksum
  } catch (const FormatError&) {
  }
  return 0;
}

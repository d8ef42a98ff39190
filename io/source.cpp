// Byte sources; see source.hpp. Depends on base, io/file and zlib.
#include <algorithm>
#include <cstring>
#include <new>

#include <fmt/format.h>
#include <zlib.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/source.hpp>

namespace thalweg::io {

std::size_t FileSource::read(std::span<std::uint8_t> dst) {
  const std::size_t got = file_.read_some(offset_, dst);
  offset_ += got;
  return got;
}

std::size_t MemorySource::read(std::span<std::uint8_t> dst) {
  const std::size_t n = std::min(dst.size(), rest_.size());
  if (n != 0) std::memcpy(dst.data(), rest_.data(), n);
  rest_ = rest_.subspan(n);
  return n;
}

bool is_gzip(std::span<const std::uint8_t> start) noexcept {
  return start.size() >= 2 && start[0] == 0x1F && start[1] == 0x8B;
}

struct GzipSource::Inflater {
  z_stream z{};
  std::uint8_t input[std::size_t{1} << 16];
  std::uint64_t taken = 0;  // compressed bytes handed to zlib so far
  bool finished = false;    // the last member has ended and been checked
};

GzipSource::GzipSource(ByteSource& packed, std::string op, std::string name)
    : packed_(packed), op_(std::move(op)), name_(std::move(name)), state_(std::make_unique<Inflater>()) {
  constexpr int gzip_window = MAX_WBITS + 16;  // zlib: 16 more means a gzip wrapper with its CRC
  if (inflateInit2(&state_->z, gzip_window) != Z_OK) throw std::bad_alloc();
}

GzipSource::~GzipSource() { inflateEnd(&state_->z); }

void GzipSource::fail(const char* what) const {
  throw_error<FormatError>(
      {.op = op_,
       .arg = name_,
       .what = fmt::format("gzip at compressed offset {}: {}", state_->taken - state_->z.avail_in, what)});
}

bool GzipSource::refill() {
  const std::size_t got = packed_.read(state_->input);
  state_->z.next_in = state_->input;
  state_->z.avail_in = static_cast<uInt>(got);
  state_->taken += got;
  return got != 0;
}

/// After the end of a member: true when another one follows, false at the end of the input.
bool GzipSource::next_member() {
  z_stream& z = state_->z;
  if (z.avail_in == 0 && !refill()) return false;
  if (*z.next_in != 0x1F) fail("bytes after the end that are no further member");
  inflateReset(&z);
  return true;
}

std::size_t GzipSource::read(std::span<std::uint8_t> dst) {
  z_stream& z = state_->z;
  std::size_t done = 0;
  while (done < dst.size() && !state_->finished) {
    if (z.avail_in == 0 && !refill()) fail("truncated");
    const std::size_t room = std::min(dst.size() - done, std::size_t{1} << 30);
    z.next_out = dst.data() + done;
    z.avail_out = static_cast<uInt>(room);
    const int status = inflate(&z, Z_NO_FLUSH);
    done += room - z.avail_out;
    if (status == Z_STREAM_END)
      state_->finished = !next_member();
    else if (status == Z_MEM_ERROR)
      throw std::bad_alloc();
    else if (status != Z_OK && status != Z_BUF_ERROR)
      fail(z.msg != nullptr ? z.msg : "not gzip data");
  }
  return done;
}

}  // namespace thalweg::io

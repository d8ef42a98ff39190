// Depends on png.hpp, zlib, fmt.
#include <thalweg/train/png.hpp>

#include <array>
#include <cstdlib>
#include <limits>
#include <string_view>

#include <fmt/format.h>
#include <zlib.h>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::train {
namespace {

using Bytes = std::vector<std::uint8_t>;

void put_u32(Bytes& to, std::uint32_t v) {
  for (const int shift : {24, 16, 8, 0}) to.push_back(static_cast<std::uint8_t>(v >> shift));
}

/// Length, type, data and the CRC of type and data.
void put_chunk(Bytes& to, std::string_view type, std::span<const std::uint8_t> data) {
  put_u32(to, static_cast<std::uint32_t>(data.size()));
  const std::size_t start = to.size();
  to.insert(to.end(), type.begin(), type.end());
  to.insert(to.end(), data.begin(), data.end());
  put_u32(to, static_cast<std::uint32_t>(crc32(0, to.data() + start, static_cast<uInt>(to.size() - start))));
}

std::uint8_t paeth(int left, int up, int corner) {
  const int estimate = left + up - corner;
  const int to_left = std::abs(estimate - left), to_up = std::abs(estimate - up),
            to_corner = std::abs(estimate - corner);
  if (to_left <= to_up && to_left <= to_corner) return static_cast<std::uint8_t>(left);
  return static_cast<std::uint8_t>(to_up <= to_corner ? up : corner);
}

/// The filtered rows: each starts with its filter's number, Paeth's, which suits photographs best.
Bytes filtered(std::size_t channels, std::size_t height, std::size_t width,
               std::span<const std::uint8_t> pixels) {
  Bytes rows;
  rows.reserve(height * (1 + width * channels));
  const auto at = [&](std::size_t c, std::size_t y, std::size_t x) {
    return pixels[(c * height + y) * width + x];
  };
  for (std::size_t y = 0; y < height; ++y) {
    rows.push_back(4);
    for (std::size_t x = 0; x < width; ++x)
      for (std::size_t c = 0; c < channels; ++c) {
        const int left = x > 0 ? at(c, y, x - 1) : 0, up = y > 0 ? at(c, y - 1, x) : 0;
        const int corner = x > 0 && y > 0 ? at(c, y - 1, x - 1) : 0;
        rows.push_back(static_cast<std::uint8_t>(at(c, y, x) - paeth(left, up, corner)));
      }
  }
  return rows;
}

Bytes deflated(const Bytes& rows) {
  uLongf length = compressBound(static_cast<uLong>(rows.size()));
  Bytes out(length);
  if (compress2(out.data(), &length, rows.data(), static_cast<uLong>(rows.size()), 9) != Z_OK)
    throw_error<MemoryError>({.op = "encode_png", .what = "no memory to compress"});
  out.resize(length);
  return out;
}

}  // namespace

std::vector<std::uint8_t> encode_png(std::int64_t channels, std::int64_t height, std::int64_t width,
                                     std::span<const std::uint8_t> pixels) {
  constexpr std::int64_t most = 1 << 14;  // keeps every product and chunk length far from overflow
  if ((channels != 1 && channels != 3) || height < 1 || width < 1 || height > most || width > most ||
      pixels.size() != static_cast<std::size_t>(channels * height * width))
    throw_error<ValueError>(
        {.op = "encode_png",
         .arg = "pixels",
         .given = fmt::format("{} values for [{},{},{}]", pixels.size(), channels, height, width),
         .wanted = fmt::format("[1 or 3, 1 to {}, 1 to {}], a value each", most, most),
         .what = "not a picture"});
  Bytes header;
  put_u32(header, static_cast<std::uint32_t>(width));
  put_u32(header, static_cast<std::uint32_t>(height));
  const std::uint8_t color = channels == 3 ? 2 : 0;
  for (const std::uint8_t b : {std::uint8_t{8}, color, std::uint8_t{0}, std::uint8_t{0}, std::uint8_t{0}})
    header.push_back(b);
  Bytes file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  put_chunk(file, "IHDR", header);
  put_chunk(file, "IDAT",
            deflated(filtered(static_cast<std::size_t>(channels), static_cast<std::size_t>(height),
                              static_cast<std::size_t>(width), pixels)));
  put_chunk(file, "IEND", {});
  return file;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const std::uint32_t word = static_cast<std::uint32_t>(bytes[i] << 16) |
                               static_cast<std::uint32_t>(left > 1 ? bytes[i + 1] << 8 : 0) |
                               static_cast<std::uint32_t>(left > 2 ? bytes[i + 2] : 0);
    out += digits[word >> 18];
    out += digits[word >> 12 & 63];
    out += left > 1 ? digits[word >> 6 & 63] : '=';
    out += left > 2 ? digits[word & 63] : '=';
  }
  return out;
}

std::string png_address(std::int64_t channels, std::int64_t height, std::int64_t width,
                        std::span<const std::uint8_t> pixels) {
  return "data:image/png;base64," + base64(encode_png(channels, height, width, pixels));
}

}  // namespace thalweg::train

// PNG: pixels as a file that every browser shows, and as text to put in a page. Depends on base, zlib.
// Invariant: the same pixels give the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace thalweg::train {

/// A PNG file (ISO/IEC 15948) of 8 bits per sample, grey or RGB. `pixels` is [channels, height, width] with 1
/// or 3 channels. Throws ValueError for other channels, dimensions below 1 or another number of pixels.
std::vector<std::uint8_t> encode_png(std::int64_t channels, std::int64_t height, std::int64_t width,
                                     std::span<const std::uint8_t> pixels);

/// RFC 4648 base64, with padding.
std::string base64(std::span<const std::uint8_t> bytes);

/// "data:image/png;base64,...": encode_png as the address of an <img>.
std::string png_address(std::int64_t channels, std::int64_t height, std::int64_t width,
                        std::span<const std::uint8_t> pixels);

}  // namespace thalweg::train

// The header of a safetensors file: its rules, checked in full, apart from any tensor.
// Depends on base. Invariant: a header that parse_header returns describes exactly `payload` bytes, without
// holes or overlaps, and every shape fits Dims.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <thalweg/autograd/base/dims.hpp>
#include <thalweg/autograd/base/dtype.hpp>

namespace thalweg::io {

struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  Dims shape;
  std::uint64_t begin = 0, end = 0;  ///< bytes, counted from the end of the header
};

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Bytes before the header: its length, little-endian.
inline constexpr std::uint64_t safetensors_prefix = 8;
/// The longest header that the format allows.
inline constexpr std::uint64_t safetensors_max_header = 100'000'000;

/// The length that the file's first 8 bytes state, checked against the file's. `given` is how many of them
/// there are. Throws FormatError.
std::uint64_t header_length(const std::uint8_t* prefix, std::size_t given, std::uint64_t file_bytes,
                            const std::string& name);

/// Parses the JSON between the length and the data, of which there are `payload` bytes. `name` is the
/// printable path. Throws FormatError.
SafetensorsHeader parse_header(std::string_view json, std::uint64_t payload, const std::string& name);

/// The header, padded with spaces to a multiple of 8 bytes, of entries whose offsets are set.
std::string header_text(const SafetensorsHeader& header);

/// "F32", "F64", "I64", "I32", "U8" or "BOOL".
const char* safetensors_name(DType dtype) noexcept;

}  // namespace thalweg::io

// IDX files (the format of MNIST), plain or gzipped, and the four files of an MNIST-like data set.
// Depends on base, tensor, io. Invariant: memory is at most a constant plus a small factor of the file's
// size, whatever its header claims.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <thalweg/autograd/base/dims.hpp>
#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::data {

/// Element types of the format; the values are its type byte.
enum class IdxType : std::uint8_t { u8 = 0x08, i8 = 0x09, i16 = 0x0B, i32 = 0x0C, f32 = 0x0D, f64 = 0x0E };

/// Bytes of one element.
std::size_t itemsize(IdxType type) noexcept;
/// "u8", "i8", "i16", "i32", "f32" or "f64".
const char* name(IdxType type) noexcept;

struct IdxHeader {
  IdxType type = IdxType::u8;
  Dims dims{};
  /// Bytes before the first element.
  std::size_t bytes() const noexcept { return 4 + 4 * static_cast<std::size_t>(dims.size()); }
};

struct IdxFile {
  IdxHeader header{};
  std::vector<std::uint8_t> bytes{};  ///< the elements row by row, in this machine's byte order
};

/// How much may be decompressed: `base` bytes plus `ratio` for every byte of the compressed file.
struct IdxLimits {
  std::uint64_t base = std::uint64_t{64} << 20;
  std::uint64_t ratio = 32;
};

/// Reads the IDX file at `path`; gzip is recognised by its first two bytes.
/// Throws IoError, and FormatError naming path, field and offset for anything that breaks the format.
IdxFile read_idx(const std::string& path, IdxLimits limits = {});
/// The same from memory; `name` stands for the path in errors.
IdxFile read_idx(std::span<const std::uint8_t> bytes, const std::string& name, IdxLimits limits = {});

/// The elements as a tensor of the same shape: u8 u8, i32 i32, f32 f32, f64 f64; i8 and i16 widen to i32.
/// Takes over the memory where no widening is needed.
Tensor to_tensor(IdxFile file);

enum class Split { train, test };

struct MnistData {
  Tensor images;  ///< u8 [n, 28, 28]
  Tensor labels;  ///< u8 [n], each 0 to 9
};

/// Reads {train,t10k}-images-idx3-ubyte and -labels-idx1-ubyte from `dir`, each also with .idx for -idx and
/// with .gz behind. Throws IoError (a file missing: its names), FormatError (also: counts that disagree,
/// label > 9).
MnistData load_mnist(const std::string& dir, Split split);

/// What the labels 0 to 9 of Fashion-MNIST stand for. Its files have MNIST's names and form: load_mnist reads
/// them.
inline constexpr std::array<const char*, 10> fashion_mnist_classes = {
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"};

}  // namespace thalweg::data

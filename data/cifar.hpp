// CIFAR-10 in its binary version: records of one label byte and 3 x 32 x 32 pixel bytes, 10000 to a file.
// Depends on base, tensor, io. Invariant: memory is what the records of the files take, never more than 60000
// of them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/data/idx.hpp>

namespace thalweg::data {

struct CifarData {
  Tensor images;  ///< u8 [n, 3, 32, 32]: planes red, green, blue
  Tensor labels;  ///< u8 [n], each 0 to 9
};

/// What the labels 0 to 9 stand for.
inline constexpr std::array<const char*, 10> cifar10_classes = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

/// The format has no header, so that a file cut off after a whole record looks like a shorter one.
enum class CifarFiles : std::uint8_t {
  complete,  ///< each file has its 10000 records, or is refused
  partial,   ///< 1 to 10000 records each, as in a sample of the data
};

/// Reads data_batch_1.bin to data_batch_5.bin, or test_batch.bin, from `dir` or from cifar-10-batches-bin in
/// it. Throws IoError (a file missing: its name; not a regular file; reading fails), FormatError (empty, cut
/// off, bytes too many, label > 9: the file, offset and record).
CifarData load_cifar10(const std::string& dir, Split split, CifarFiles files = CifarFiles::complete);

/// The records in memory; `name` stands for the path in errors. Throws FormatError.
CifarData read_cifar10(std::span<const std::uint8_t> bytes, const std::string& name,
                       CifarFiles files = CifarFiles::complete);

}  // namespace thalweg::data

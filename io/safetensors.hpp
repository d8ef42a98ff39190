// Named tensors in one file, in the safetensors format, which Python, Rust and JavaScript programs read too.
// Depends on base, tensor, kernels, io/file. Invariant: a load is all or nothing, and every byte of the file
// is accounted for; a save leaves the old file whole until the new one is durable.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::io {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using Metadata = std::map<std::string, std::string>;

/// A file's contents, tensors in the order of their bytes in the file.
struct TensorFile {
  NamedTensors tensors;
  Metadata metadata;

  /// The tensor called `name`; null if there is none.
  const Tensor* find(std::string_view name) const noexcept;
  /// The tensor called `name`. Throws IndexError.
  const Tensor& at(std::string_view name, Loc loc = Loc::here()) const;
};

/// Writes `tensors` to `path`, in place of what is there; any strides; gradients are not saved. The bytes
/// depend on names, values and metadata only, not on the order given. Throws ValueError (undefined tensor; a
/// name that is given twice, is not UTF-8 or is "__metadata__"; metadata that is not UTF-8), IoError.
void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {},
          Loc loc = Loc::here());

/// The same with a checksum over the whole file in the metadata ("thalweg.checksum": 16 hexadecimal digits;
/// it is computed with zeros in their place). Other readers of the format pass it over.
void save_checked(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {},
                  Loc loc = Loc::here());

/// The tensors of the file at `path`: f32 f64 i64 i32 u8 bool. Throws IoError, and FormatError naming path,
/// offset and field for any breach of the format, for a checksum that differs (of files that have one) and
/// for element types without a DType here (F16, I16, ...).
NamedTensors load(const std::string& path);

/// The same with the file's metadata, less the checksum.
TensorFile load_file(const std::string& path);
/// The same from memory; `name` stands for the path in errors.
TensorFile load_file(std::span<const std::uint8_t> bytes, const std::string& name);
/// As load_file(), and a file without a checksum is refused: every truncation and every changed byte of what
/// save_checked() wrote gives a FormatError.
TensorFile load_checked(const std::string& path);

}  // namespace thalweg::io

// Depends on hash.hpp, fmt.
#include <thalweg/train/hash.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

#include <fmt/format.h>

namespace thalweg::train {

std::string hash_of(const std::vector<Tensor>& tensors) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (const Tensor& tensor : tensors) {
    const Tensor dense = tensor.detach().contiguous();
    const auto bytes = static_cast<std::size_t>(dense.numel()) * itemsize(dense.dtype());
    for (const std::byte b : std::span(static_cast<const std::byte*>(dense.get()->data), bytes)) {
      h ^= static_cast<std::uint64_t>(b);
      h *= 0x100000001B3u;
    }
  }
  return fmt::format("{:016x}", h);
}

}  // namespace thalweg::train

// ByteSource: bytes read front to back from a file, from memory, or through gzip.
// Depends on base and io/file. Invariant: a source holds a constant amount of memory however long its input
// is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <thalweg/io/file.hpp>

namespace thalweg::io {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills `dst` as far as there are bytes and returns how many; less than asked only at the end.
  virtual std::size_t read(std::span<std::uint8_t> dst) = 0;
};

/// The bytes of an open file. The file must outlive the source.
class FileSource final : public ByteSource {
 public:
  explicit FileSource(const FileReader& file) noexcept : file_(file) {}
  std::size_t read(std::span<std::uint8_t> dst) override;

 private:
  const FileReader& file_;
  std::uint64_t offset_ = 0;
};

/// Bytes in memory, which must outlive the source.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::uint8_t> bytes) noexcept : rest_(bytes) {}
  std::size_t read(std::span<std::uint8_t> dst) override;

 private:
  std::span<const std::uint8_t> rest_;
};

/// What gzip (RFC 1952) data decompresses to; one or several members. Checksum and length of each member are
/// checked as its last byte is read. Throws FormatError naming the offset in the compressed input.
class GzipSource final : public ByteSource {
 public:
  /// `packed` must outlive this. `op` and `name` (printable) are for error texts.
  GzipSource(ByteSource& packed, std::string op, std::string name);
  ~GzipSource() override;
  std::size_t read(std::span<std::uint8_t> dst) override;

 private:
  struct Inflater;
  bool refill();
  bool next_member();
  [[noreturn]] void fail(const char* what) const;

  ByteSource& packed_;
  std::string op_, name_;
  std::unique_ptr<Inflater> state_;
};

/// True when `start`, the first bytes of a file, begin a gzip member.
bool is_gzip(std::span<const std::uint8_t> start) noexcept;

}  // namespace thalweg::io

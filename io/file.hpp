// Files through descriptors: bounded reads and atomic replacement, every return code checked.
// Depends on base. Invariant: until AtomicFile::commit() has renamed, the previous file at that path is
// whole; once it returned, the new one survives a loss of power.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>
#include <sys/types.h>

namespace thalweg::io {

/// The system calls used for files, as a table, so that a test can make any of them fail.
struct FileOps {
  int (*open)(const char* path, int flags, mode_t mode);
  int (*stat)(const char* path, struct stat* out);
  int (*fstat)(int fd, struct stat* out);
  ssize_t (*pread)(int fd, void* dst, std::size_t bytes, off_t offset);
  ssize_t (*write)(int fd, const void* src, std::size_t bytes);
  int (*fchmod)(int fd, mode_t mode);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*unlink)(const char* path);
};

/// The operating system's own calls.
const FileOps& system_file_ops() noexcept;

/// Uses `ops` for every file until destruction, in all threads; for tests.
class ScopedFileOps {
 public:
  explicit ScopedFileOps(const FileOps& ops) noexcept;
  ScopedFileOps(const ScopedFileOps&) = delete;
  ScopedFileOps& operator=(const ScopedFileOps&) = delete;
  ~ScopedFileOps();

 private:
  const FileOps* previous_;
};

/// `text` with control characters and bytes that are not UTF-8 written as \xNN, a backslash doubled: safe to
/// print.
std::string printable(std::string_view text);

/// Length of the longest prefix of `text` that is valid UTF-8 (no overlong forms, no surrogates).
std::size_t valid_utf8_prefix(std::string_view text) noexcept;

/// A regular file open for reading. Anything else (directory, FIFO, device) is refused with an IoError, so
/// that a read neither blocks nor has no end. `op` is what error texts begin with. Reading is thread-safe.
class FileReader {
 public:
  explicit FileReader(const std::string& path, std::string op = "file");
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;
  ~FileReader();

  /// Bytes of the file when it was opened.
  std::uint64_t size() const noexcept { return size_; }
  /// The path, made printable.
  const std::string& name() const noexcept { return name_; }
  /// Reads from `offset` until `dst` is full or the file ends; returns the bytes read. Throws IoError.
  std::size_t read_some(std::uint64_t offset, std::span<std::uint8_t> dst) const;
  /// As read_some; throws IoError when the file ends early, as it does when someone truncates it meanwhile.
  void read_exact(std::uint64_t offset, std::span<std::uint8_t> dst) const;

 private:
  std::string op_, name_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// A new file that takes the place of `path` all at once. Written under another name in the same directory;
/// commit() makes it durable and renames it; destruction without commit() removes it. Follows symbolic links,
/// keeps the permission bits of the file it replaces, and refuses to replace what is not a regular file.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path, std::string op = "file");
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends. Throws IoError.
  void write(std::span<const std::uint8_t> bytes);
  /// Write out, fsync, close, rename, fsync of the directory. Throws IoError; call once.
  void commit();

 private:
  void flush();
  void write_all(std::span<const std::uint8_t> bytes);
  [[noreturn]] void fail(const char* what, int error) const;

  std::string op_, name_, target_, temp_;
  std::vector<std::uint8_t> buffer_;
  int fd_ = -1;
};

/// Removes what AtomicFiles of processes that were killed have left in `directory`; returns how many. Those
/// still being written, by this process or another, stay.
std::size_t remove_leftovers(const std::string& directory);

/// The whole file. Throws IoError, also when it is larger than `max_bytes`.
std::vector<std::uint8_t> read_file(const std::string& path, std::uint64_t max_bytes);

/// Replaces the file at `path` by `bytes`, atomically and durably. Throws IoError.
void write_file(const std::string& path, std::span<const std::uint8_t> bytes);

}  // namespace thalweg::io

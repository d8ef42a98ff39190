// Files through descriptors; see file.hpp. Depends on base and POSIX.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/file.hpp>

namespace thalweg::io {
namespace {

constexpr std::size_t max_transfer = std::size_t{1} << 30;  // Linux moves at most 2 GiB - 4 KiB in one call
constexpr std::size_t buffer_bytes = std::size_t{1} << 16;

constexpr FileOps posix_ops{
    .open = [](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); },
    .stat = [](const char* path, struct stat* out) { return ::stat(path, out); },
    .fstat = [](int fd, struct stat* out) { return ::fstat(fd, out); },
    .pread = [](int fd, void* dst, std::size_t bytes,
                off_t offset) { return ::pread(fd, dst, bytes, offset); },
    .write = [](int fd, const void* src, std::size_t bytes) { return ::write(fd, src, bytes); },
    .fchmod = [](int fd, mode_t mode) { return ::fchmod(fd, mode); },
    .fsync = [](int fd) { return ::fsync(fd); },
    .close = [](int fd) { return ::close(fd); },
    .rename = [](const char* from, const char* to) { return ::rename(from, to); },
    .unlink = [](const char* path) { return ::unlink(path); },
};

std::atomic<const FileOps*> current_ops{&posix_ops};

const FileOps& sys() noexcept { return *current_ops.load(std::memory_order_acquire); }

/// Calls `call` again while a signal interrupts it.
template <class F>
auto retry(F call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

[[noreturn, gnu::cold]] void throw_io(const std::string& op, const std::string& name, const char* what,
                                      int error) {
  throw_error<IoError>(
      {.op = op, .arg = name, .what = fmt::format("{} ({})", what, std::generic_category().message(error))});
}

void require_plain_path(const std::string& path, const std::string& op) {
  if (path.empty()) throw_error<IoError>({.op = op, .what = "the path is empty"});
  if (path.find('\0') != std::string::npos)
    throw_error<IoError>({.op = op, .arg = printable(path), .what = "the path holds a zero byte"});
}

const char* kind_of(mode_t mode) noexcept {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

[[noreturn, gnu::cold]] void throw_not_regular(const std::string& op, const std::string& name, mode_t mode) {
  throw_error<IoError>({.op = op,
                        .arg = name,
                        .given = kind_of(mode),
                        .wanted = "a regular file",
                        .what = "not a regular file"});
}

/// Closes on the way out of an error; the error under way is the one worth telling.
void close_quietly(int fd) noexcept {
  if (fd >= 0) sys().close(fd);
}

/// Linux has closed the descriptor even when close() was interrupted, so EINTR is not asked again.
bool close_checked(int fd) noexcept { return sys().close(fd) == 0 || errno == EINTR; }

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Where a symbolic link leads, so that the link stays and its file is replaced; otherwise `path` itself.
std::string resolve_link(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string result(real);
  std::free(real);
  return result;
}

/// Bytes of the UTF-8 sequence at the start of `s`, or 0 if there is none (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view s) noexcept {
  const auto at = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0u) == 0x80u; };
  const unsigned a = at(0), b = at(1);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    const bool second = tail(1) && (a != 0xE0 || b >= 0xA0) && (a != 0xED || b <= 0x9F);
    return second && tail(2) ? 3 : 0;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    const bool second = tail(1) && (a != 0xF0 || b >= 0x90) && (a != 0xF4 || b <= 0x8F);
    return second && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

/// C0, DEL and C1 controls, and the marks that reorder or break lines on a terminal.
bool is_control(std::string_view sequence) noexcept {
  const auto a = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return a < 0x20 || a == 0x7F;
  const auto b = static_cast<unsigned char>(sequence[1]);
  if (sequence.size() == 2) return a == 0xC2 && b < 0xA0;
  if (sequence.size() != 3 || a != 0xE2) return false;
  const auto c = static_cast<unsigned char>(sequence[2]);
  return (b == 0x80 && ((c >= 0x8B && c <= 0x8F) || (c >= 0xA8 && c <= 0xAE))) ||
         (b == 0x81 && c >= 0xA0 && c <= 0xAF);
}

}  // namespace

const FileOps& system_file_ops() noexcept { return posix_ops; }

ScopedFileOps::ScopedFileOps(const FileOps& ops) noexcept : previous_(current_ops.exchange(&ops)) {}
ScopedFileOps::~ScopedFileOps() { current_ops.store(previous_); }

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    const std::string_view piece = text.substr(0, n == 0 ? 1 : n);
    if (n == 0 || is_control(piece)) {
      for (char c : piece) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      if (piece == "\\") out += '\\';
      out += piece;
    }
    text.remove_prefix(piece.size());
  }
  return out;
}

std::size_t valid_utf8_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t n = utf8_length(text.substr(i));
    if (n == 0) break;
    i += n;
  }
  return i;
}

// ---- FileReader --------------------------------------------------------------------------------

FileReader::FileReader(const std::string& path, std::string op) : op_(std::move(op)), name_(printable(path)) {
  require_plain_path(path, op_);
  // O_NONBLOCK: opening a pipe nobody writes to must come back, to be refused below.
  fd_ = retry([&] { return sys().open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0); });
  if (fd_ < 0) throw_io(op_, name_, "cannot open", errno);
  struct stat info {};
  if (sys().fstat(fd_, &info) != 0) {
    const int error = errno;
    close_quietly(fd_);
    throw_io(op_, name_, "cannot look at", error);
  }
  if (!S_ISREG(info.st_mode)) {
    close_quietly(fd_);
    throw_not_regular(op_, name_, info.st_mode);
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
}

FileReader::~FileReader() { close_quietly(fd_); }

std::size_t FileReader::read_some(std::uint64_t offset, std::span<std::uint8_t> dst) const {
  std::size_t done = 0;
  while (done < dst.size()) {
    const std::size_t want = std::min(dst.size() - done, max_transfer);
    const ssize_t got =
        retry([&] { return sys().pread(fd_, dst.data() + done, want, static_cast<off_t>(offset + done)); });
    if (got < 0) throw_io(op_, name_, "cannot read", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void FileReader::read_exact(std::uint64_t offset, std::span<std::uint8_t> dst) const {
  const std::size_t got = read_some(offset, dst);
  if (got != dst.size())
    throw_error<IoError>({.op = op_,
                          .arg = name_,
                          .given = fmt::format("{} bytes", offset + got),
                          .wanted = fmt::format("{}", offset + dst.size()),
                          .what = "the file became shorter while it was read"});
}

// ---- AtomicFile --------------------------------------------------------------------------------

AtomicFile::AtomicFile(const std::string& path, std::string op) : op_(std::move(op)), name_(printable(path)) {
  require_plain_path(path, op_);
  target_ = resolve_link(path);
  struct stat info {};
  const bool exists = sys().stat(target_.c_str(), &info) == 0;
  if (!exists && errno != ENOENT) throw_io(op_, name_, "cannot look at", errno);
  if (exists && !S_ISREG(info.st_mode)) throw_not_regular(op_, name_, info.st_mode);

  static std::atomic<unsigned> counter{0};
  buffer_.reserve(buffer_bytes);
  // A name left by a killed process with our number is passed over, never written into.
  for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {
    temp_ = fmt::format("{}/thalweg-{}-{}.part", directory_of(target_), ::getpid(), counter.fetch_add(1));
    fd_ = retry([&] { return sys().open(temp_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) fail("cannot create a file beside", errno);
  // Held while this object lives, gone with the process: remove_leftovers() tells the dead by it. A file
  // system without locks only keeps its leftovers.
  static_cast<void>(::flock(fd_, LOCK_EX | LOCK_NB));
  if (exists && sys().fchmod(fd_, info.st_mode & 07777) != 0) {
    const int error = errno;
    close_quietly(fd_);
    sys().unlink(temp_.c_str());
    fail("cannot carry over the permissions of", error);
  }
}

AtomicFile::~AtomicFile() {
  close_quietly(fd_);
  if (!temp_.empty()) sys().unlink(temp_.c_str());
}

void AtomicFile::fail(const char* what, int error) const { throw_io(op_, name_, what, error); }

void AtomicFile::write_all(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put =
        retry([&] { return sys().write(fd_, bytes.data(), std::min(bytes.size(), max_transfer)); });
    if (put < 0) fail("cannot write", errno);
    if (put == 0) fail("cannot write", ENOSPC);  // a file that takes nothing would be asked for ever
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void AtomicFile::flush() {
  write_all(buffer_);
  buffer_.clear();
}

void AtomicFile::write(std::span<const std::uint8_t> bytes) {
  if (buffer_.size() + bytes.size() > buffer_bytes) flush();
  if (bytes.size() >= buffer_bytes)
    write_all(bytes);
  else
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void AtomicFile::commit() {
  flush();
  if (retry([&] { return sys().fsync(fd_); }) != 0) fail("cannot make durable", errno);
  const bool closed = close_checked(std::exchange(fd_, -1));
  if (!closed) fail("cannot close", errno);
  if (sys().rename(temp_.c_str(), target_.c_str()) != 0) fail("cannot rename into place", errno);
  temp_.clear();

  const std::string directory = directory_of(target_);
  const int fd = retry([&] { return sys().open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
  if (fd < 0) fail("written, but cannot open its directory to make the new name durable", errno);
  const int synced = retry([&] { return sys().fsync(fd); });
  const int error = errno;
  close_quietly(fd);
  // EINVAL: a file system whose directories cannot be synced, and need not be.
  if (synced != 0 && error != EINVAL) fail("written, but cannot make the new name durable", error);
}

std::size_t remove_leftovers(const std::string& directory) {
  std::size_t removed = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with("thalweg-") || !name.ends_with(".part")) continue;
    const int fd = ::open(it->path().c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::unlink(it->path().c_str()) == 0) ++removed;
    ::close(fd);
  }
  return removed;
}

// ---- whole files -------------------------------------------------------------------------------

std::vector<std::uint8_t> read_file(const std::string& path, std::uint64_t max_bytes) {
  const FileReader file(path);
  if (file.size() > max_bytes)
    throw_error<IoError>({.op = "file",
                          .arg = file.name(),
                          .given = fmt::format("{} bytes", file.size()),
                          .wanted = fmt::format("at most {}", max_bytes),
                          .what = "too large"});
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(file.size()));
  file.read_exact(0, bytes);
  return bytes;
}

void write_file(const std::string& path, std::span<const std::uint8_t> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace thalweg::io

// Helpers of the file tests: a temporary directory, raw reading and writing, gzip, failing system calls.
// Depends on doctest, zlib, io/file. Invariant: nothing here goes through the code under test, but
// FaultyFiles.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/file.hpp>

namespace thalweg::test {

using Bytes = std::vector<std::uint8_t>;

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "thalweg-test-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  /// Names in the directory, so that a left-over is seen.
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::string path_;
};

inline void put(const std::string& path, std::span<const std::uint8_t> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  REQUIRE(out.good());
}

inline Bytes slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

inline Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

inline Bytes gzip(std::span<const std::uint8_t> plain) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes packed(deflateBound(&z, static_cast<uLong>(plain.size())) + 32);
  z.next_in = const_cast<Bytef*>(plain.data());
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = packed.data();
  z.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

inline std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// The E that `f` throws; any other outcome fails the test.
template <class E, class F>
ErrorFields thrown(F f) {
  try {
    f();
  } catch (const E& e) {
    ErrorFields fields = e.fields();
    fields.what = e.what();
    return fields;
  } catch (const std::exception& e) {
    FAIL("another error than wanted: " << e.what());
  }
  FAIL("nothing thrown");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// While alive, system call number `fail_at` (counted from 0 over all kinds) fails with `error`; every write
/// takes at most `most_written` bytes, every read gives at most `most_read`; each call is first interrupted
/// `interrupts` times by EINTR.
class FaultyFiles {
 public:
  static constexpr int never = 1 << 30;
  struct Plan {
    int fail_at = never;
    int error = EIO;
    std::size_t most_written = SIZE_MAX;
    std::size_t most_read = SIZE_MAX;
    int interrupts = 0;
    bool count_clean_up = false;  ///< close and unlink can fail too
  };
  explicit FaultyFiles(Plan plan) : scoped_(table()) { state() = {plan, 0, 0, {}}; }
  static int calls() { return state().calls; }
  /// The kind of call that was made to fail.
  static const std::string& failed() { return state().failed; }

 private:
  struct State {
    Plan plan;
    int calls = 0, interrupted = 0;
    std::string failed;
  };
  static State& state() {
    static State s;
    return s;
  }
  /// True when this call is to fail; errno says how.
  static bool trip(const char* kind, bool interruptible) {
    State& s = state();
    if (interruptible && s.interrupted < s.plan.interrupts) {
      ++s.interrupted;
      errno = EINTR;
      return true;
    }
    s.interrupted = 0;
    if (s.calls++ != s.plan.fail_at) return false;
    s.failed = kind;
    errno = s.plan.error;
    return true;
  }
  static const io::FileOps& table() {
    static const io::FileOps ops = [] {
      static const io::FileOps& sys = io::system_file_ops();
      io::FileOps t{};
      t.open = [](const char* p, int flags, mode_t m) {
        return trip("open", true) ? -1 : sys.open(p, flags, m);
      };
      t.stat = [](const char* p, struct stat* o) { return trip("stat", false) ? -1 : sys.stat(p, o); };
      t.fstat = [](int fd, struct stat* o) { return trip("fstat", false) ? -1 : sys.fstat(fd, o); };
      t.pread = [](int fd, void* d, std::size_t n, off_t o) {
        return trip("pread", true) ? ssize_t{-1} : sys.pread(fd, d, std::min(n, state().plan.most_read), o);
      };
      t.write = [](int fd, const void* s, std::size_t n) {
        return trip("write", true) ? ssize_t{-1} : sys.write(fd, s, std::min(n, state().plan.most_written));
      };
      t.fchmod = [](int fd, mode_t m) { return trip("fchmod", false) ? -1 : sys.fchmod(fd, m); };
      t.fsync = [](int fd) { return trip("fsync", true) ? -1 : sys.fsync(fd); };
      // A close that fails has closed nevertheless, as on Linux.
      t.close = [](int fd) { return sys.close(fd) != 0 || (counted() && trip("close", false)) ? -1 : 0; };
      t.rename = [](const char* a, const char* b) { return trip("rename", false) ? -1 : sys.rename(a, b); };
      t.unlink = [](const char* p) {
        return sys.unlink(p) != 0 || (counted() && trip("unlink", false)) ? -1 : 0;
      };
      return t;
    }();
    return ops;
  }
  static bool counted() { return state().plan.count_clean_up; }

  io::ScopedFileOps scoped_;
};

}  // namespace thalweg::test

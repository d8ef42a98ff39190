// io/file: bounded reads, atomic replacement, and what happens when each system call fails in turn.
#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>

#include <thalweg/io/file.hpp>

#include "files.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

Bytes pattern(std::size_t n) {
  Bytes b(n);
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<std::uint8_t>(i * 131 + (i >> 8));
  return b;
}

}  // namespace

TEST_CASE("a file written is the file read, at sizes around the buffer") {
  TempDir dir;
  for (std::size_t n : {0u, 1u, 65535u, 65536u, 65537u, 200001u}) {
    const Bytes want = pattern(n);
    io::write_file(dir / "f", want);
    CHECK(slurp(dir / "f") == want);
    CHECK(io::read_file(dir / "f", n) == want);
    CHECK(dir.entries() == 1);
  }
}

TEST_CASE("many small writes keep their order") {
  TempDir dir;
  Bytes want;
  io::AtomicFile file(dir / "f");
  for (std::size_t i = 0; i < 5000; ++i) {
    const Bytes piece = pattern(i % 97);
    file.write(piece);
    want.insert(want.end(), piece.begin(), piece.end());
  }
  file.commit();
  CHECK(slurp(dir / "f") == want);
}

TEST_CASE("reading what cannot be read names path and reason") {
  TempDir dir;
  const auto missing = thrown<IoError>([&] { io::read_file(dir / "no such\nfile", 10); });
  CHECK(contains(missing.what, "No such file"));
  CHECK(contains(missing.what, "no such\\x0afile"));
  CHECK(contains(missing.arg, "no such\\x0afile"));
  CHECK(contains(thrown<IoError>([&] { io::read_file(dir.path(), 10); }).what, "directory"));
  CHECK(contains(thrown<IoError>([&] { io::read_file("", 10); }).what, "empty"));
  CHECK(contains(thrown<IoError>([&] { io::read_file(std::string("/etc/pass\0wd", 12), 10); }).what,
                 "zero byte"));
  CHECK(contains(thrown<IoError>([&] { io::read_file("/dev/zero", 10); }).what, "device"));
  put(dir / "big", pattern(100));
  const auto big = thrown<IoError>([&] { io::read_file(dir / "big", 99); });
  CHECK(big.given == "100 bytes");
  CHECK(big.wanted == "at most 99");
}

TEST_CASE("opening a pipe nobody writes to is refused, not waited for") {
  TempDir dir;
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK(contains(thrown<IoError>([&] { io::FileReader f(dir / "pipe"); }).what, "pipe"));
  CHECK(contains(thrown<IoError>([&] { io::AtomicFile f(dir / "pipe"); }).what, "pipe"));
}

TEST_CASE("a file without read permission is an IoError") {
  if (::geteuid() == 0) return;  // root may read everything; the injected EACCES below covers the path
  TempDir dir;
  put(dir / "f", pattern(3));
  REQUIRE(::chmod((dir / "f").c_str(), 0) == 0);
  CHECK(contains(thrown<IoError>([&] { io::read_file(dir / "f", 10); }).what, "Permission denied"));
}

TEST_CASE("a file that shrinks while it is read is an IoError") {
  TempDir dir;
  put(dir / "f", pattern(100));
  const io::FileReader file(dir / "f", "idx");
  REQUIRE(::truncate((dir / "f").c_str(), 40) == 0);
  Bytes dst(100);
  CHECK(file.read_some(0, dst) == 40);
  const auto e = thrown<IoError>([&] { file.read_exact(0, dst); });
  CHECK(e.op == "idx");
  CHECK(e.given == "40 bytes");
  CHECK(e.wanted == "100");
}

TEST_CASE("every failing call while reading throws and leaks no descriptor") {
  TempDir dir;
  const Bytes want = pattern(1000);
  put(dir / "f", want);
  const std::size_t before = open_descriptors();
  int failures = 0;
  for (int n = 0;; ++n) {
    FaultyFiles faults({.fail_at = n, .error = EACCES, .most_read = 300});
    try {
      const Bytes got = io::read_file(dir / "f", 1000);
      CHECK(got == want);
      break;
    } catch (const IoError& e) {
      CHECK(contains(e.what(), "Permission denied"));
      CHECK(contains(e.what(), dir / "f"));
      ++failures;
    }
    CHECK(open_descriptors() == before);
  }
  CHECK(failures == 6);  // open, fstat, and four reads of at most 300
}

TEST_CASE("short reads, short writes and signals change nothing") {
  TempDir dir;
  const Bytes want = pattern(3000);
  {
    FaultyFiles faults({.most_written = 7, .most_read = 11, .interrupts = 2});
    io::write_file(dir / "f", want);
    CHECK(io::read_file(dir / "f", 3000) == want);
    CHECK(FaultyFiles::calls() > 3000 / 7 + 3000 / 11);
  }
  CHECK(slurp(dir / "f") == want);
}

TEST_CASE("every failing call while writing leaves the old file or the new, whole, and nothing beside it") {
  const Bytes old_bytes = pattern(500), new_bytes = pattern(70000);
  for (int error : {ENOSPC, EIO, EDQUOT, EROFS}) {
    for (bool replace : {false, true}) {
      TempDir dir;
      const std::size_t before = open_descriptors();
      std::string kinds;
      for (int n = 0;; ++n) {
        if (replace)
          put(dir / "f", old_bytes);
        else
          std::filesystem::remove(dir / "f");
        bool failed = false;
        {
          FaultyFiles faults({.fail_at = n, .error = error, .most_written = 30000, .count_clean_up = true});
          try {
            io::write_file(dir / "f", new_bytes);
          } catch (const IoError& e) {
            failed = true;
            CHECK(contains(e.what(), std::strerror(error)));
            CHECK(contains(e.what(), dir / "f"));
          }
          kinds += FaultyFiles::failed() + (failed ? "! " : " ");
        }
        CHECK(open_descriptors() == before);
        const bool there = std::filesystem::exists(dir / "f");
        CHECK(dir.entries() == (there ? 1 : 0));
        const Bytes now = there ? slurp(dir / "f") : Bytes{};
        if (failed)
          CHECK((now == new_bytes || now == (replace ? old_bytes : Bytes{})));
        else
          CHECK(now == new_bytes);
        if (FaultyFiles::failed().empty()) break;
      }
      // The last close only gives back the directory's descriptor: its failure loses nothing and is not an
      // error.
      CHECK(kinds == std::string("stat! open! ") + (replace ? "fchmod! " : "") +
                         "write! write! write! fsync! close! rename! open! fsync! close  ");
    }
  }
}

TEST_CASE("the old file stays until the rename, the new one is there after it") {
  TempDir dir;
  put(dir / "f", pattern(10));
  for (int n : {6, 8}) {  // stat open fchmod write fsync close RENAME open FSYNC
    FaultyFiles faults({.fail_at = n, .count_clean_up = true});
    CHECK_THROWS_AS(io::write_file(dir / "f", pattern(20)), IoError);
    CHECK(FaultyFiles::failed() == (n == 6 ? "rename" : "fsync"));
    CHECK(slurp(dir / "f").size() == (n == 6 ? 10 : 20));
  }
}

TEST_CASE("a device that takes nothing is an error, not an endless loop") {
  TempDir dir;
  static io::FileOps ops = io::system_file_ops();
  ops.write = [](int, const void*, std::size_t) { return ssize_t{0}; };
  io::ScopedFileOps scoped(ops);
  CHECK_THROWS_AS(io::write_file(dir / "f", pattern(20)), IoError);
  CHECK(dir.entries() == 0);
}

TEST_CASE("a real full device is reported by write") {
  if (!std::filesystem::exists("/dev/full")) return;
  TempDir dir;
  static io::FileOps ops = io::system_file_ops();
  ops.open = [](const char* path, int flags, mode_t mode) {
    return io::system_file_ops().open((flags & O_CREAT) != 0 ? "/dev/full" : path,
                                      flags & ~(O_CREAT | O_EXCL), mode);
  };
  io::ScopedFileOps scoped(ops);
  CHECK(contains(thrown<IoError>([&] { io::write_file(dir / "f", pattern(20)); }).what, "No space left"));
}

TEST_CASE("abandoning a file leaves the old one") {
  TempDir dir;
  put(dir / "f", pattern(10));
  {
    io::AtomicFile file(dir / "f");
    file.write(pattern(100000));
    CHECK(dir.entries() == 2);
  }
  CHECK(dir.entries() == 1);
  CHECK(slurp(dir / "f") == pattern(10));
}

TEST_CASE("replacing keeps permissions and follows a symbolic link; other kinds are refused") {
  TempDir dir;
  put(dir / "f", pattern(10));
  REQUIRE(::chmod((dir / "f").c_str(), 0640) == 0);
  std::filesystem::create_directory(dir / "sub");
  std::filesystem::create_symlink(dir / "f", dir / "sub/link");
  io::write_file(dir / "sub/link", pattern(20));
  CHECK(std::filesystem::is_symlink(dir / "sub/link"));
  CHECK(slurp(dir / "f") == pattern(20));
  struct stat info {};
  REQUIRE(::stat((dir / "f").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0640);
  CHECK_THROWS_AS(io::write_file(dir / "sub", pattern(1)), IoError);
  CHECK_THROWS_AS(io::write_file(dir / "nowhere/f", pattern(1)), IoError);
  CHECK_THROWS_AS(io::write_file("", pattern(1)), IoError);
}

TEST_CASE("a device is never replaced by a file") {
  // Said by a pretended stat(): were the check to fail, a real device's name would become a plain file.
  TempDir dir;
  put(dir / "device", pattern(1));
  static io::FileOps ops = io::system_file_ops();
  ops.stat = [](const char* path, struct stat* out) {
    const int result = io::system_file_ops().stat(path, out);
    out->st_mode = S_IFCHR | 0600;
    return result;
  };
  io::ScopedFileOps scoped(ops);
  CHECK(contains(thrown<IoError>([&] { io::write_file(dir / "device", pattern(2)); }).what, "a device"));
  CHECK(slurp(dir / "device") == pattern(1));
}

TEST_CASE("a bare file name is written in the current directory") {
  TempDir dir;
  const auto home = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  io::write_file("bare", pattern(5));
  std::filesystem::current_path(home);
  CHECK(slurp(dir / "bare") == pattern(5));
}

TEST_CASE("printable escapes what a terminal would obey and keeps the rest") {
  CHECK(io::printable("plain.txt") == "plain.txt");
  CHECK(io::printable("gr\xC3\xBC\xC3\x9F") == "gr\xC3\xBC\xC3\x9F");
  CHECK(io::printable("a\x1b[31m\n") == "a\\x1b[31m\\x0a");
  CHECK(io::printable("back\\slash") == "back\\\\slash");
  CHECK(io::printable("\x7f\xC2\x9B") == "\\x7f\\xc2\\x9b");
  CHECK(io::printable("\xE2\x80\xAEx") == "\\xe2\\x80\\xaex");
  CHECK(io::printable("\xFF\xC3") == "\\xff\\xc3");
}

TEST_CASE("UTF-8 is checked in full") {
  const auto valid = [](std::string_view s) { return io::valid_utf8_prefix(s) == s.size(); };
  CHECK(valid("a\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
  for (std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ", "\xE0\x9F\xBF", "\xE0\xA0", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"})
    CHECK_FALSE(valid(bad));
  CHECK(io::valid_utf8_prefix("ok\xFF") == 2);
}

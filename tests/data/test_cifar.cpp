// data/cifar: good files from both places, and every way in which they can be bad, with the file named.
#include <algorithm>

#include <thalweg/data/cifar.hpp>

#include "../io/files.hpp"

using namespace thalweg;
using namespace thalweg::test;
using data::CifarFiles;
using data::Split;

namespace {

constexpr std::size_t record = 3073;

/// `n` records whose labels count up from `first` and whose pixels tell record and position.
Bytes records(std::size_t n, unsigned first = 0) {
  Bytes b(n * record);
  for (std::size_t r = 0; r < n; ++r) {
    b[r * record] = static_cast<std::uint8_t>((first + r) % 10);
    for (std::size_t i = 1; i < record; ++i)
      b[r * record + i] = static_cast<std::uint8_t>((7 * r + i - 1) % 251);
  }
  return b;
}

ErrorFields refused(const Bytes& bytes, CifarFiles files = CifarFiles::partial) {
  const auto e = thrown<FormatError>([&] { data::read_cifar10(bytes, "the/file", files); });
  CHECK(e.op == "cifar10");
  CHECK(e.arg == "the/file");
  CHECK(contains(e.what, "offset"));
  return e;
}

std::string batch(int i) { return "data_batch_" + std::to_string(i) + ".bin"; }

void put_train(const std::string& dir) {
  for (int i = 1; i <= 5; ++i)
    put(dir + "/" + batch(i), records(static_cast<std::size_t>(i), static_cast<unsigned>(10 * i + i)));
}

}  // namespace

TEST_CASE("cifar: records become images and labels in the files' order") {
  TempDir dir;
  put_train(dir.path());
  put(dir / "test_batch.bin", records(70, 3));  // more than are read at once
  const data::CifarData train = data::load_cifar10(dir.path(), Split::train, CifarFiles::partial);
  CHECK(train.images.shape() == Dims{15, 3, 32, 32});
  CHECK(train.images.dtype() == DType::u8);
  CHECK(train.labels.dtype() == DType::u8);
  const std::vector<std::uint8_t> labels{1, 2, 3, 3, 4, 5, 4, 5, 6, 7, 5, 6, 7, 8, 9};
  CHECK(std::ranges::equal(train.labels.span<std::uint8_t>(), labels));
  CHECK(train.images.data<std::uint8_t>()[14 * 3072 + 3071] == (7 * 4 + 3071) % 251);

  const data::CifarData test = data::load_cifar10(dir.path() + "/", Split::test, CifarFiles::partial);
  CHECK(test.images.shape() == Dims{70, 3, 32, 32});
  for (std::size_t r = 0; r < 70; ++r) {
    CHECK(test.labels.data<std::uint8_t>()[r] == (3 + r) % 10);
    CHECK(test.images.data<std::uint8_t>()[r * 3072 + 100] == (7 * r + 100) % 251);
  }
  CHECK(std::string(data::cifar10_classes[3]) == "cat");
}

TEST_CASE("cifar: the archive's own folder is found, unless the files lie beside it") {
  TempDir dir;
  std::filesystem::create_directory(dir / "cifar-10-batches-bin");
  put(dir / "cifar-10-batches-bin/test_batch.bin", records(2));
  const auto test = [&] {
    return data::load_cifar10(dir.path(), Split::test, CifarFiles::partial).labels.size(0);
  };
  CHECK(test() == 2);
  put(dir / "test_batch.bin", records(3));
  CHECK(test() == 3);
}

TEST_CASE("cifar: complete files have 10000 records, no more and no fewer") {
  const Bytes whole = records(10000);
  CHECK(data::read_cifar10(whole, "m").labels.size(0) == 10000);
  const auto shorter = refused(Bytes(whole.begin(), whole.end() - record), CifarFiles::complete);
  CHECK(contains(shorter.what, "offset 30726927: records are missing"));
  CHECK(shorter.wanted == "30730000 bytes: 10000 records of 3073");
  Bytes longer = whole;
  longer.push_back(0);
  for (CifarFiles files : {CifarFiles::complete, CifarFiles::partial})
    CHECK(contains(refused(longer, files).what, "offset 30730000: bytes after the last record"));
}

TEST_CASE("cifar: every short length is an error") {
  const Bytes good = records(2);
  for (std::size_t n = 0; n < good.size(); ++n) {
    if (n == record) continue;
    CAPTURE(n);
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n));
    const auto e = thrown<FormatError>([&] { data::read_cifar10(cut, "m", CifarFiles::partial); });
    const char* what = n == 0       ? "offset 0: empty"
                       : n < record ? "offset 0: record 0"
                                    : "offset 3073: record 1";
    if (!contains(e.what, what)) FAIL_CHECK(e.what);
    if (e.given != std::to_string(n) + " bytes long") FAIL_CHECK(e.given);
  }
  CHECK(contains(refused(Bytes(good.begin(), good.end() - 1), CifarFiles::complete).what, "is cut off"));
  CHECK(contains(refused({}, CifarFiles::complete).what, "empty"));
}

TEST_CASE("cifar: a label above 9 is shown with its record") {
  for (unsigned bad : {10u, 255u}) {
    Bytes b = records(80);
    b[70 * record] = static_cast<std::uint8_t>(bad);
    const auto e = refused(b);
    CHECK(contains(e.what, "offset 215110: label of record 70 is out of range"));
    CHECK(e.given == std::to_string(bad) + " there");
  }
}

TEST_CASE("cifar: missing files are named; directories and wrong versions are told") {
  TempDir dir;
  put_train(dir.path());
  std::filesystem::remove(dir / batch(3));
  std::filesystem::remove(dir / batch(5));
  const auto train = [&] { data::load_cifar10(dir.path(), Split::train, CifarFiles::partial); };
  auto e = thrown<IoError>(train);
  CHECK(contains(e.what, "no data_batch_3.bin, data_batch_5.bin there"));
  CHECK_FALSE(contains(e.wanted, "data_batch"));  // the names stand in the message once
  CHECK(contains(e.arg, dir.path()));
  put(dir / batch(5), records(1));
  std::filesystem::create_directory(dir / batch(3));
  e = thrown<IoError>(train);
  CHECK(contains(e.what, "a directory"));
  CHECK(contains(e.arg, batch(3)));

  e = thrown<IoError>([&] { data::load_cifar10(dir.path(), Split::test); });
  CHECK(contains(e.what, "no test_batch.bin there"));
  CHECK_FALSE(contains(e.what, "Python"));
  CHECK(contains(e.wanted, "binary version"));
  put(dir / "test_batch", Bytes{1});
  CHECK(
      contains(thrown<IoError>([&] { data::load_cifar10(dir.path(), Split::test); }).what, "Python version"));
  CHECK_THROWS_AS(data::load_cifar10(dir / "nowhere", Split::train), IoError);
  CHECK_THROWS_AS(data::load_cifar10("", Split::train), IoError);
}

TEST_CASE("cifar: a bad file among good ones is named") {
  TempDir dir;
  put_train(dir.path());
  Bytes bad = records(4);
  bad[2 * record] = 10;
  put(dir / batch(4), bad);
  const auto e =
      thrown<FormatError>([&] { data::load_cifar10(dir.path(), Split::train, CifarFiles::partial); });
  CHECK(contains(e.arg, batch(4)));
  CHECK(contains(e.what, "record 2"));
  put_train(dir.path());
  CHECK(contains(thrown<FormatError>([&] { data::load_cifar10(dir.path(), Split::train); }).what, batch(1)));
}

TEST_CASE("cifar: failing reads and a file that shrinks are errors that leave no descriptor open") {
  TempDir dir;
  put(dir / "test_batch.bin", records(3));
  const std::size_t before = open_descriptors();
  const auto load = [&] { return data::load_cifar10(dir.path(), Split::test, CifarFiles::partial); };
  int failures = 0;
  for (int n = 0;; ++n) {
    FaultyFiles faults({.fail_at = n, .error = EIO, .most_read = 2000});
    data::CifarData got;
    try {
      got = load();
    } catch (const IoError& e) {
      CHECK(contains(e.what(), "test_batch.bin"));
      CHECK(open_descriptors() == before);
      ++failures;
      continue;
    }
    CHECK(got.labels.size(0) == 3);
    break;
  }
  CHECK(failures >= 5);

  static io::FileOps ops = io::system_file_ops();
  ops.pread = [](int fd, void* dst, std::size_t bytes, off_t offset) {
    if (offset >= 5000) return ssize_t{0};
    const auto most = static_cast<std::size_t>(5000 - offset);
    return io::system_file_ops().pread(fd, dst, std::min(bytes, most), offset);
  };
  io::ScopedFileOps scoped(ops);
  CHECK(contains(thrown<FormatError>(load).what, "offset 5000: the file became shorter"));
}

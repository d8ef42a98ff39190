// data/idx: every way in which an IDX or MNIST file can be bad gives a typed error that names path, offset
// and field.
#include <cstring>

#include <thalweg/data/idx.hpp>

#include "../io/files.hpp"

using namespace thalweg;
using namespace thalweg::test;
using data::IdxType;

namespace {

Bytes idx(std::uint8_t type, std::initializer_list<std::uint32_t> dims,
          std::span<const std::uint8_t> elements) {
  Bytes b{0, 0, type, static_cast<std::uint8_t>(dims.size())};
  for (std::uint32_t d : dims)
    for (int shift = 24; shift >= 0; shift -= 8) b.push_back(static_cast<std::uint8_t>(d >> shift));
  b.insert(b.end(), elements.begin(), elements.end());
  return b;
}

Bytes counting(std::size_t n, unsigned modulus = 251) {
  Bytes b(n);
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<std::uint8_t>(i % modulus);
  return b;
}

ErrorFields refused(const Bytes& bytes, data::IdxLimits limits = {}) {
  const auto e = thrown<FormatError>([&] { data::read_idx(bytes, "the/file", limits); });
  CHECK(e.op == "idx");
  CHECK(e.arg == "the/file");
  CHECK(contains(e.what, "the/file"));
  CHECK(contains(e.what, "offset"));
  return e;
}

/// An MNIST directory with `n` images and labels, its parts changeable before they are written.
struct MnistDir {
  TempDir dir;
  Bytes images = idx(8, {3, 28, 28}, counting(3 * 784));
  Bytes labels = idx(8, {3}, Bytes{0, 9, 4});
  std::string image_name = "train-images-idx3-ubyte", label_name = "train-labels-idx1-ubyte";
  data::MnistData load(data::Split split = data::Split::train) {
    put(dir / image_name, images);
    put(dir / label_name, labels);
    return data::load_mnist(dir.path(), split);
  }
};

}  // namespace

TEST_CASE("idx: a good file, plain and gzipped, from a path and from memory") {
  TempDir dir;
  const Bytes elements = counting(2 * 3 * 5), good = idx(8, {2, 3, 5}, elements);
  put(dir / "plain", good);
  put(dir / "packed", gzip(good));
  for (const data::IdxFile& f : {data::read_idx(good, "m"), data::read_idx(gzip(good), "m"),
                                 data::read_idx(dir / "plain"), data::read_idx(dir / "packed")}) {
    CHECK(f.header.type == IdxType::u8);
    CHECK(f.header.dims == Dims{2, 3, 5});
    CHECK(f.header.bytes() == 16);
    CHECK(f.bytes == elements);
  }
}

TEST_CASE("idx: every element type arrives in this machine's byte order") {
  const auto tensor = [](std::uint8_t type, const Bytes& big_endian, std::uint32_t n) {
    return data::to_tensor(data::read_idx(idx(type, {n}, big_endian), "m"));
  };
  const Tensor u8 = tensor(0x08, {1, 255}, 2);
  CHECK(u8.data<std::uint8_t>()[1] == 255);
  const Tensor i8 = tensor(0x09, {0x7F, 0x80}, 2);
  CHECK(i8.dtype() == DType::i32);
  CHECK(i8.data<std::int32_t>()[0] == 127);
  CHECK(i8.data<std::int32_t>()[1] == -128);
  const Tensor i16 = tensor(0x0B, {0x01, 0x02, 0xFF, 0xFE}, 2);
  CHECK(i16.data<std::int32_t>()[0] == 258);
  CHECK(i16.data<std::int32_t>()[1] == -2);
  const Tensor i32 = tensor(0x0C, {0x01, 0x02, 0x03, 0x04}, 1);
  CHECK(i32.data<std::int32_t>()[0] == 0x01020304);
  const Tensor f32 = tensor(0x0D, {0x3F, 0xC0, 0, 0}, 1);
  CHECK(f32.data<float>()[0] == 1.5f);
  const Tensor f64 = tensor(0x0E, {0xBF, 0xF4, 0, 0, 0, 0, 0, 0}, 1);
  CHECK(f64.data<double>()[0] == -1.25);
  CHECK(f64.shape() == Dims{1});
}

TEST_CASE("idx: a tensor outlives the file's other handles and takes over the memory") {
  data::IdxFile file = data::read_idx(idx(8, {4, 5}, counting(20)), "m");
  const std::uint8_t* memory = file.bytes.data();
  const Tensor t = data::to_tensor(std::move(file));
  CHECK(t.shape() == Dims{4, 5});
  CHECK(t.data<std::uint8_t>() == memory);
  CHECK(t.data<std::uint8_t>()[19] == 19);
}

TEST_CASE("idx: zero-size files are good") {
  const data::IdxFile f = data::read_idx(idx(8, {0, 28, 28}, {}), "m");
  CHECK(f.bytes.empty());
  CHECK(data::to_tensor(f).shape() == Dims{0, 28, 28});
  CHECK(contains(refused(idx(8, {0, 28}, Bytes{1})).what, "after the last"));
}

TEST_CASE("idx: every short length says which field is cut off") {
  const Bytes good = idx(8, {2, 3, 5}, counting(30));
  for (std::size_t n = 0; n < good.size(); ++n) {
    CAPTURE(n);
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n));
    const auto e = refused(cut);
    const char* field = n == 0   ? "empty"
                        : n < 4  ? "magic"
                        : n < 8  ? "dims[0]"
                        : n < 12 ? "dims[1]"
                        : n < 16 ? "dims[2]"
                        : n < 30 ? "dims claim 30 bytes"  // more than the whole file
                                 : "elements";
    CHECK(contains(e.what, field));
    refused(gzip(cut));
  }
}

TEST_CASE("idx: a bad magic, type byte or rank is shown") {
  const Bytes good = idx(8, {2}, Bytes{1, 2});
  for (std::size_t at : {0u, 1u}) {
    Bytes bad = good;
    bad[at] = 0x42;
    const auto e = refused(bad);
    CHECK(contains(e.what, "offset 0: magic"));
    CHECK(contains(e.given, "42"));
  }
  for (unsigned type = 0; type < 256; ++type) {
    Bytes bad = good;
    bad[2] = static_cast<std::uint8_t>(type);
    const bool known = type == 8 || type == 9 || (type >= 0x0B && type <= 0x0E);
    if (!known) CHECK(contains(refused(bad).what, "offset 2: type byte"));
  }
  for (unsigned rank : {0u, 9u, 255u}) {
    Bytes bad = good;
    bad[3] = static_cast<std::uint8_t>(rank);
    CHECK(contains(refused(bad).what, "offset 3: rank"));
  }
}

TEST_CASE("idx: dims that overflow, or claim more than there is, allocate nothing") {
  const std::uint32_t top = 0xFFFFFFFF;
  CHECK(contains(refused(idx(8, {top, top, top}, {})).what, "overflows"));
  CHECK(contains(refused(idx(8, {0, top, top, top}, {})).what, "overflows"));
  CHECK(contains(refused(idx(14, {top, 1u << 31}, {})).what, "overflows"));
  CHECK(contains(refused(idx(8, {top, 1u << 30}, counting(64))).what, "more than the file holds"));
  const auto e = refused(idx(8, {60000, 28, 28}, counting(1000)));
  CHECK(contains(e.what, "offset 4"));
  CHECK(e.given == "u8[60000,28,28]");
  CHECK(e.wanted == "at most 1016 bytes");
}

TEST_CASE("idx: bytes after the last element are refused, plain and gzipped") {
  Bytes long_file = idx(8, {2, 3}, counting(7));
  for (const Bytes& b : {long_file, gzip(long_file)}) {
    const auto e = refused(b);
    CHECK(contains(e.what, "offset 18: bytes after the last element"));
    CHECK(e.wanted == "18 bytes");
  }
}

TEST_CASE("idx: gzip cut off at every length is an error") {
  const Bytes packed = gzip(idx(8, {100}, counting(100)));
  for (std::size_t n = 0; n < packed.size(); ++n) {
    CAPTURE(n);
    refused(Bytes(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(n)));
  }
}

TEST_CASE("idx: every flipped bit of a gzip file is an error or harmless") {
  const Bytes elements = counting(100), packed = gzip(idx(8, {100}, elements));
  int harmless = 0;
  for (std::size_t bit = 0; bit < packed.size() * 8; ++bit) {
    Bytes bad = packed;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ 1u << bit % 8);
    Bytes got;
    try {
      got = data::read_idx(bad, "m").bytes;
    } catch (const FormatError&) {
      continue;
    }
    CHECK(got == elements);
    ++harmless;  // time stamp, system, flags
  }
  CHECK(harmless <= 64);
}

TEST_CASE("idx: a bad CRC and a bad length in the gzip trailer are told") {
  Bytes packed = gzip(idx(8, {100}, counting(100)));
  Bytes crc = packed, length = packed;
  crc[packed.size() - 8] ^= 1;
  length[packed.size() - 1] ^= 1;
  CHECK(contains(refused(crc).what, "incorrect data check"));
  CHECK(contains(refused(length).what, "incorrect length check"));
  CHECK(contains(refused(crc).what, "compressed offset"));
}

TEST_CASE("idx: gzip in several members is one file; other bytes after it are refused") {
  const Bytes good = idx(8, {1000}, counting(1000));
  Bytes two = gzip(std::span(good).first(300));
  const Bytes second = gzip(std::span(good).subspan(300));
  two.insert(two.end(), second.begin(), second.end());
  CHECK(data::read_idx(two, "m").bytes == counting(1000));
  Bytes junk = gzip(good);
  junk.push_back('x');
  CHECK(contains(refused(junk).what, "no further member"));
}

TEST_CASE(
    "idx: a gzip bomb is refused by its claim, before memory is taken, and a hidden one without unpacking") {
  const Bytes zeros(std::size_t{4} << 20);
  Bytes claims_all = idx(8, {4u << 20}, zeros), claims_little = idx(8, {16}, zeros);
  const data::IdxLimits limits{.base = 1000, .ratio = 32};
  const Bytes bomb = gzip(claims_all);
  REQUIRE(bomb.size() * 100 < claims_all.size());
  const auto e = refused(bomb, limits);
  CHECK(contains(e.what, "too much for so small a compressed file"));
  CHECK(data::read_idx(bomb, "m").bytes == zeros);  // within the usual constant it is just a file
  CHECK(contains(refused(gzip(claims_little), limits).what, "after the last element"));
  CHECK(contains(refused(gzip(idx(8, {0xFFFFFFFF, 0x40000000}, {}))).what, "too much"));
}

TEST_CASE("idx: missing files, directories and failing reads are IoErrors") {
  TempDir dir;
  CHECK(contains(thrown<IoError>([&] { data::read_idx(dir / "none"); }).what, "No such file"));
  CHECK(contains(thrown<IoError>([&] { data::read_idx(dir.path()); }).what, "a directory"));
  const Bytes elements = counting(300);
  for (const Bytes& bytes : {idx(8, {300}, elements), gzip(idx(8, {300}, elements))}) {
    put(dir / "f", bytes);
    const std::size_t before = open_descriptors();
    int failures = 0;
    for (int n = 0;; ++n) {
      FaultyFiles faults({.fail_at = n, .error = EIO, .most_read = 100});
      Bytes got;
      try {
        got = data::read_idx(dir / "f").bytes;
      } catch (const IoError& e) {
        CHECK(contains(e.what(), dir / "f"));
        CHECK(open_descriptors() == before);
        ++failures;
        continue;
      }
      CHECK(got == elements);
      break;
    }
    CHECK(failures >= 6);
  }
}

TEST_CASE("idx: a file that shrinks after its size was taken is an error, not garbage") {
  TempDir dir;
  put(dir / "f", idx(8, {300}, counting(300)));
  static io::FileOps ops = io::system_file_ops();
  ops.pread = [](int fd, void* dst, std::size_t bytes, off_t offset) {
    if (offset >= 200) return ssize_t{0};
    return io::system_file_ops().pread(
        fd, dst, std::min<std::size_t>(bytes, static_cast<std::size_t>(200 - offset)), offset);
  };
  io::ScopedFileOps scoped(ops);
  CHECK(contains(thrown<FormatError>([&] { data::read_idx(dir / "f"); }).what, "elements is cut off"));
}

TEST_CASE("mnist: loads under each of its names, plain and gzipped, train and test") {
  for (const char* join : {"-", "."})
    for (const char* stem : {"train", "t10k"})
      for (bool packed : {false, true}) {
        MnistDir d;
        const std::string end = packed ? ".gz" : "";
        d.image_name = std::string(stem) + "-images" + join + "idx3-ubyte" + end;
        d.label_name = std::string(stem) + "-labels" + join + "idx1-ubyte" + end;
        if (packed) d.images = gzip(d.images), d.labels = gzip(d.labels);
        const auto m = d.load(stem[1] == 'r' ? data::Split::train : data::Split::test);
        CHECK(m.images.shape() == Dims{3, 28, 28});
        CHECK(m.images.dtype() == DType::u8);
        CHECK(m.images.data<std::uint8_t>()[784] == 784 % 251);
        CHECK(m.labels.shape() == Dims{3});
        CHECK(m.labels.data<std::uint8_t>()[1] == 9);
      }
}

TEST_CASE("mnist: files that do not fit each other are named with field and offset") {
  const auto refuse = [](auto change) {
    MnistDir d;
    change(d);
    return thrown<FormatError>([&] { d.load(); });
  };
  const auto disagree = refuse([](MnistDir& d) { d.labels = idx(8, {2}, Bytes{1, 2}); });
  CHECK(contains(disagree.what, "offset 4: dims[0]: images and labels disagree"));
  CHECK(contains(disagree.arg, "train-labels-idx1-ubyte"));
  CHECK(contains(disagree.wanted, "train-images-idx3-ubyte"));
  CHECK(disagree.given == "2 labels");

  const auto range = refuse([](MnistDir& d) { d.labels = idx(8, {3}, Bytes{0, 9, 10}); });
  CHECK(contains(range.what, "offset 10: label[2] is out of range"));
  CHECK(range.given == "10 there");

  CHECK(contains(refuse([](MnistDir& d) { std::swap(d.images, d.labels); }).what, "not images"));
  CHECK(contains(refuse([](MnistDir& d) {
                   d.images = idx(8, {3, 28, 27}, counting(3 * 28 * 27));
                 }).what,
                 "not images"));
  CHECK(contains(refuse([](MnistDir& d) {
                   d.images = idx(9, {3, 28, 28}, counting(3 * 784));
                 }).what,
                 "not images"));
  CHECK(contains(refuse([](MnistDir& d) {
                   d.labels = idx(8, {3, 1}, Bytes{1, 2, 3});
                 }).what,
                 "not a list of labels"));
  CHECK(contains(refuse([](MnistDir& d) { d.images = idx(8, {0, 28, 28}, {}); }).what, "no images"));
}

TEST_CASE("mnist: a missing file names what was looked for; a directory in its place is told") {
  MnistDir d;
  const auto none = thrown<IoError>([&] { data::load_mnist(d.dir.path(), data::Split::test); });
  CHECK(contains(none.wanted, "t10k-images-idx3-ubyte, t10k-images-idx3-ubyte.gz, t10k-images.idx3-ubyte"));
  CHECK(none.arg == d.dir.path());
  CHECK_THROWS_AS(data::load_mnist(d.dir / "nowhere", data::Split::train), IoError);
  CHECK_THROWS_AS(data::load_mnist("", data::Split::train), IoError);
  std::filesystem::create_directory(d.dir / "train-images-idx3-ubyte");
  CHECK(contains(thrown<IoError>([&] { data::load_mnist(d.dir.path(), data::Split::train); }).what,
                 "a directory"));
}

TEST_CASE("mnist: Fashion-MNIST as Debian's dataset-fashion-mnist ships it, where that is installed") {
  const std::string dir = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(dir)) return;
  const data::MnistData train = data::load_mnist(dir, data::Split::train);
  CHECK(train.images.shape() == Dims{60000, 28, 28});
  CHECK(data::load_mnist(dir, data::Split::test).labels.shape() == Dims{10000});
  int counts[10] = {};
  for (std::uint8_t label : train.labels.span<std::uint8_t>()) ++counts[label];
  for (int c : counts) CHECK(c == 6000);
  CHECK(std::string(data::fashion_mnist_classes[train.labels.data<std::uint8_t>()[0]]) == "ankle boot");
}

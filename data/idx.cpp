// The IDX reader and the MNIST file set; see idx.hpp. Depends on base, tensor, io.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <utility>

#include <sys/stat.h>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/idx.hpp>
#include <thalweg/io/source.hpp>

namespace thalweg::data {
namespace {

constexpr const char* op = "idx";
constexpr std::size_t mnist_side = 28;
constexpr std::uint8_t mnist_classes = 10;

/// One read of one file: where it stands and what it is called.
struct Reading {
  io::ByteSource& source;
  std::string name;          // printable path
  std::uint64_t most_bytes;  // what the elements may take
  const char* most_because;  // why
  std::uint64_t offset = 0;

  [[noreturn, gnu::cold]] void fail(std::uint64_t at, const std::string& what, std::string given,
                                    std::string wanted) const {
    throw_error<FormatError>({.op = op,
                              .arg = name,
                              .given = std::move(given),
                              .wanted = std::move(wanted),
                              .what = fmt::format("offset {}: {}", at, what)});
  }

  void take(std::span<std::uint8_t> dst, const std::string& field) {
    const std::size_t got = source.read(dst);
    if (got != dst.size())
      fail(offset, offset + got == 0 ? "empty, no " + field : field + " is cut off",
           fmt::format("{} bytes long", offset + got), fmt::format("at least {}", offset + dst.size()));
    offset += got;
  }
};

bool known_type(std::uint8_t byte) noexcept { return byte >= 0x08 && byte <= 0x0E && byte != 0x0A; }

IdxHeader read_header(Reading& in) {
  std::array<std::uint8_t, 4> magic{};
  in.take(magic, "magic");
  if (magic[0] != 0 || magic[1] != 0)
    in.fail(0, "magic does not begin with two zero bytes",
            fmt::format("{:02x} {:02x} {:02x} {:02x} there", magic[0], magic[1], magic[2], magic[3]),
            "00 00");
  if (!known_type(magic[2]))
    in.fail(2, "type byte is unknown", fmt::format("{:02x} there", magic[2]),
            "08 (u8), 09 (i8), 0b (i16), 0c (i32), 0d (f32) or 0e (f64)");
  if (magic[3] < 1 || magic[3] > max_dims)
    in.fail(3, "rank is out of range", fmt::format("of rank {}", magic[3]), fmt::format("1 to {}", max_dims));

  IdxHeader header{.type = static_cast<IdxType>(magic[2])};
  for (int i = 0; i < magic[3]; ++i) {
    std::array<std::uint8_t, 4> be{};
    in.take(be, fmt::format("dims[{}]", i));
    header.dims.push_back(std::int64_t{be[0]} << 24 | be[1] << 16 | be[2] << 8 | be[3]);
  }
  return header;
}

/// Bytes that the elements take; refuses what overflows and what the file cannot hold.
std::size_t payload_bytes(const Reading& in, const IdxHeader& header) {
  std::uint64_t bytes = itemsize(header.type);
  bool overflow = false, zero = false;
  for (std::int64_t d : header.dims) {
    zero |= d == 0;
    overflow |= d != 0 && __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(d), &bytes);
  }
  overflow |= bytes >> 63 != 0;
  const std::string claim = fmt::format("{}{}", name(header.type), to_string(header.dims));
  if (overflow) in.fail(4, "product of dims overflows", claim, "fewer than 2^63 bytes");
  if (zero) return 0;
  if (bytes > in.most_bytes)
    in.fail(4, fmt::format("dims claim {} bytes, {}", bytes, in.most_because), claim,
            fmt::format("at most {} bytes", in.most_bytes));
  return static_cast<std::size_t>(bytes);
}

/// The format is big-endian.
void to_native_order(std::vector<std::uint8_t>& bytes, std::size_t size) {
  if (size == 1 || std::endian::native == std::endian::big) return;
  for (std::size_t i = 0; i < bytes.size(); i += size)
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                 bytes.begin() + static_cast<std::ptrdiff_t>(i + size));
}

IdxFile read_all(Reading in) {
  IdxFile file{.header = read_header(in)};
  file.bytes.resize(payload_bytes(in, file.header));
  in.take(file.bytes, "elements");
  std::uint8_t extra = 0;
  if (in.source.read({&extra, 1}) != 0)
    in.fail(in.offset, "bytes after the last element",
            fmt::format("longer than {}{} takes", name(file.header.type), to_string(file.header.dims)),
            fmt::format("{} bytes", in.offset));
  to_native_order(file.bytes, itemsize(file.header.type));
  return file;
}

/// `plain` and `packed` are two sources of the same bytes; `size` is their number.
IdxFile read_either(bool gzip, io::ByteSource& bytes, std::uint64_t size, std::string label,
                    IdxLimits limits) {
  if (!gzip)
    return read_all({.source = bytes,
                     .name = std::move(label),
                     .most_bytes = size,
                     .most_because = "more than the file holds"});
  io::GzipSource unpacked(bytes, op, label);
  return read_all({.source = unpacked,
                   .name = std::move(label),
                   .most_bytes = limits.base + limits.ratio * size,
                   .most_because = "too much for so small a compressed file"});
}

// ---- MNIST -------------------------------------------------------------------------------------

struct Found {
  std::string path;
  IdxFile file;
};

Found read_one_of(const std::string& dir, const std::string& stem, const std::string& kind) {
  const std::string base = dir.empty() || dir.back() == '/' ? dir : dir + "/";
  std::string tried;
  for (const char* join : {"-", "."})
    for (const char* end : {"", ".gz"}) {
      const std::string file = stem + join + kind + end, path = base + file;
      tried += (tried.empty() ? "" : ", ") + file;
      struct stat info {};
      if (::stat(path.c_str(), &info) == 0) return {path, read_idx(path)};
    }
  throw_error<IoError>(
      {.op = op, .arg = io::printable(dir), .wanted = "one of " + tried, .what = "no such file there"});
}

[[noreturn, gnu::cold]] void fail_mnist(const std::string& path, std::uint64_t at, const std::string& what,
                                        std::string given, std::string wanted) {
  throw_error<FormatError>({.op = "mnist",
                            .arg = io::printable(path),
                            .given = std::move(given),
                            .wanted = std::move(wanted),
                            .what = fmt::format("offset {}: {}", at, what)});
}

void check_mnist(const Found& images, const Found& labels) {
  const IdxHeader &x = images.file.header, &y = labels.file.header;
  const auto describe = [](const IdxHeader& h) {
    return fmt::format("{}{}", name(h.type), to_string(h.dims));
  };
  if (x.type != IdxType::u8 || x.dims.size() != 3 || x.dims[1] != mnist_side || x.dims[2] != mnist_side)
    fail_mnist(images.path, 0, "not images of 28 x 28 bytes", describe(x), "u8[n,28,28]");
  if (y.type != IdxType::u8 || y.dims.size() != 1)
    fail_mnist(labels.path, 0, "not a list of labels", describe(y), "u8[n]");
  if (x.dims[0] == 0) fail_mnist(images.path, 4, "dims[0]: no images", describe(x), "at least one");
  if (x.dims[0] != y.dims[0])
    fail_mnist(labels.path, 4, "dims[0]: images and labels disagree", fmt::format("{} labels", y.dims[0]),
               fmt::format("{}, as there are images in {}", x.dims[0], io::printable(images.path)));
  const auto& bytes = labels.file.bytes;
  const auto bad =
      std::find_if(bytes.begin(), bytes.end(), [](std::uint8_t v) { return v >= mnist_classes; });
  if (bad != bytes.end()) {
    const auto i = static_cast<std::size_t>(bad - bytes.begin());
    fail_mnist(labels.path, y.bytes() + i, fmt::format("label[{}] is out of range", i),
               fmt::format("{} there", *bad), "0 to 9");
  }
}

/// A tensor on the vector's own memory.
template <class T>
Tensor adopt(std::vector<std::uint8_t> bytes, const Dims& shape) {
  if (bytes.empty()) return empty(shape, dtype_of<T>);
  auto keeper = std::make_shared<std::vector<std::uint8_t>>(std::move(bytes));
  T* data = reinterpret_cast<T*>(keeper->data());  // operator new aligns for every T
  return wrap<T>(data, shape, contiguous_strides(shape), [keeper](void*) mutable { keeper.reset(); });
}

template <class T>
Tensor widen(const std::vector<std::uint8_t>& bytes, const Dims& shape) {
  Tensor out = empty(shape, DType::i32);
  auto* dst = out.mutable_data<std::int32_t>();
  for (std::size_t i = 0; i * sizeof(T) < bytes.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    dst[i] = value;
  }
  return out;
}

}  // namespace

std::size_t itemsize(IdxType type) noexcept {
  switch (type) {
    case IdxType::u8:
    case IdxType::i8:
      return 1;
    case IdxType::i16:
      return 2;
    case IdxType::f64:
      return 8;
    default:
      return 4;
  }
}

const char* name(IdxType type) noexcept {
  switch (type) {
    case IdxType::u8:
      return "u8";
    case IdxType::i8:
      return "i8";
    case IdxType::i16:
      return "i16";
    case IdxType::i32:
      return "i32";
    case IdxType::f32:
      return "f32";
    default:
      return "f64";
  }
}

IdxFile read_idx(const std::string& path, IdxLimits limits) {
  const io::FileReader file(path, op);
  std::array<std::uint8_t, 2> start{};
  const bool gzip = file.read_some(0, start) == start.size() && io::is_gzip(start);
  io::FileSource source(file);
  return read_either(gzip, source, file.size(), file.name(), limits);
}

IdxFile read_idx(std::span<const std::uint8_t> bytes, const std::string& label, IdxLimits limits) {
  io::MemorySource source(bytes);
  return read_either(io::is_gzip(bytes), source, bytes.size(), io::printable(label), limits);
}

Tensor to_tensor(IdxFile file) {
  const Dims shape = file.header.dims;
  switch (file.header.type) {
    case IdxType::u8:
      return adopt<std::uint8_t>(std::move(file.bytes), shape);
    case IdxType::i8:
      return widen<std::int8_t>(file.bytes, shape);
    case IdxType::i16:
      return widen<std::int16_t>(file.bytes, shape);
    case IdxType::i32:
      return adopt<std::int32_t>(std::move(file.bytes), shape);
    case IdxType::f32:
      return adopt<float>(std::move(file.bytes), shape);
    default:
      return adopt<double>(std::move(file.bytes), shape);
  }
}

MnistData load_mnist(const std::string& dir, Split split) {
  const std::string stem = split == Split::train ? "train" : "t10k";
  Found images = read_one_of(dir, stem + "-images", "idx3-ubyte");
  Found labels = read_one_of(dir, stem + "-labels", "idx1-ubyte");
  check_mnist(images, labels);
  return {to_tensor(std::move(images.file)), to_tensor(std::move(labels.file))};
}

}  // namespace thalweg::data

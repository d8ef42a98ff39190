// The CIFAR-10 reader; see cifar.hpp. Depends on base, tensor, io.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include <sys/stat.h>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/cifar.hpp>
#include <thalweg/io/source.hpp>

namespace thalweg::data {
namespace {

constexpr const char* op = "cifar10";
constexpr std::int64_t channels = 3, side = 32, pixels = channels * side * side;
constexpr std::int64_t record = 1 + pixels, per_file = 10000;
constexpr std::int64_t at_once = 64;  // records read with one call
constexpr std::uint8_t classes = 10;
constexpr const char* folder = "cifar-10-batches-bin";  // what the official archive unpacks to

[[noreturn, gnu::cold]] void fail(const std::string& name, const std::string& what, std::string given,
                                  std::string wanted) {
  throw_error<FormatError>(
      {.op = op, .arg = name, .given = std::move(given), .wanted = std::move(wanted), .what = what});
}

/// How many records a file of so many bytes has.
std::int64_t records_in(std::uint64_t bytes, const std::string& name, CifarFiles files) {
  constexpr auto whole = static_cast<std::uint64_t>(per_file * record);
  const std::string given = fmt::format("{} bytes long", bytes);
  const std::string wanted = files == CifarFiles::complete
                                 ? fmt::format("{} bytes: {} records of {}", whole, per_file, record)
                                 : fmt::format("1 to {} records of {} bytes", per_file, record);
  const std::uint64_t rest = bytes % static_cast<std::uint64_t>(record);
  if (bytes == 0) fail(name, "offset 0: empty, no records", given, wanted);
  if (bytes > whole) fail(name, fmt::format("offset {}: bytes after the last record", whole), given, wanted);
  if (rest != 0)
    fail(name,
         fmt::format("offset {}: record {} is cut off", bytes - rest,
                     bytes / static_cast<std::uint64_t>(record)),
         given, wanted);
  if (files == CifarFiles::complete && bytes != whole)
    fail(name, fmt::format("offset {}: records are missing", bytes), given, wanted);
  return static_cast<std::int64_t>(bytes) / record;
}

/// Where the records go, one after the other.
struct Sink {
  CifarData data;
  std::uint8_t* image;
  std::uint8_t* label;

  explicit Sink(std::int64_t n)
      : data{empty({n, channels, side, side}, DType::u8), empty({n}, DType::u8)},
        image(data.images.mutable_data<std::uint8_t>()),
        label(data.labels.mutable_data<std::uint8_t>()) {}

  void read(io::ByteSource& source, std::int64_t count, const std::string& name) {
    std::vector<std::uint8_t> buffer(static_cast<std::size_t>(std::min(count, at_once) * record));
    for (std::int64_t r = 0; r < count;) {
      const std::int64_t now = std::min(at_once, count - r);
      const std::span<std::uint8_t> bytes = std::span(buffer).first(static_cast<std::size_t>(now * record));
      const std::size_t got = source.read(bytes);
      if (got != bytes.size())  // it was long enough when it was opened
        fail(name,
             fmt::format("offset {}: the file became shorter while it was read",
                         static_cast<std::size_t>(r * record) + got),
             fmt::format("{} bytes long", static_cast<std::size_t>(r * record) + got),
             fmt::format("{} bytes", count * record));
      for (const std::uint8_t* p = bytes.data(); p != bytes.data() + bytes.size(); p += record, ++r)
        take(p, r, name);
    }
  }

 private:
  void take(const std::uint8_t* from, std::int64_t r, const std::string& name) {
    if (*from >= classes)
      fail(name, fmt::format("offset {}: label of record {} is out of range", r * record, r),
           fmt::format("{} there", *from), "0 to 9");
    *label++ = *from;
    std::memcpy(image, from + 1, static_cast<std::size_t>(pixels));
    image += pixels;
  }
};

std::vector<std::string> names_of(Split split) {
  if (split == Split::test) return {"test_batch.bin"};
  std::vector<std::string> names;
  for (int i = 1; i <= 5; ++i) names.push_back(fmt::format("data_batch_{}.bin", i));
  return names;
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

/// `dir` with a slash behind, or the archive's folder in it when that is where the files are.
std::string place_of(const std::string& dir, const std::vector<std::string>& names) {
  const std::string base = dir.empty() || dir.back() == '/' ? dir : dir + "/";
  const std::string inner = base + folder + "/";
  const auto here = [&](const std::string& at) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return exists(at + n); });
  };
  return !here(base) && (here(inner) || exists(inner)) ? inner : base;
}

void require_all(const std::string& place, const std::vector<std::string>& names) {
  std::string missing;
  for (const std::string& n : names)
    if (!exists(place + n)) missing += (missing.empty() ? "" : ", ") + n;
  if (missing.empty()) return;
  const bool python = exists(place + names.front().substr(0, names.front().size() - 4));
  throw_error<IoError>(
      {.op = op,
       .arg = io::printable(place),
       .wanted = "the files of CIFAR-10's binary version",
       .what = fmt::format("no {} there{}", missing, python ? ", but files of the Python version" : "")});
}

}  // namespace

CifarData load_cifar10(const std::string& dir, Split split, CifarFiles files) {
  const std::vector<std::string> names = names_of(split);
  const std::string place = place_of(dir, names);
  require_all(place, names);
  std::vector<std::unique_ptr<io::FileReader>> open;
  std::vector<std::int64_t> counts;
  std::int64_t total = 0;
  for (const std::string& n : names) {
    open.push_back(std::make_unique<io::FileReader>(place + n, op));
    counts.push_back(records_in(open.back()->size(), open.back()->name(), files));
    total += counts.back();
  }
  Sink sink(total);
  for (std::size_t i = 0; i < open.size(); ++i) {
    io::FileSource source(*open[i]);
    sink.read(source, counts[i], open[i]->name());
  }
  return sink.data;
}

CifarData read_cifar10(std::span<const std::uint8_t> bytes, const std::string& name, CifarFiles files) {
  const std::string label = io::printable(name);
  const std::int64_t n = records_in(bytes.size(), label, files);
  Sink sink(n);
  io::MemorySource source(bytes);
  sink.read(source, n, label);
  return sink.data;
}

}  // namespace thalweg::data

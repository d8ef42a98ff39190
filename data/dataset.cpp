// Tensors as a data set, subsets, and the gathering of rows; see dataset.hpp. Depends on base, tensor, ops,
// par.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/dataset.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::data {
namespace {

constexpr const char* op = "dataset";
constexpr std::int64_t chunk_bytes = std::int64_t{1} << 18;  // work that is worth a task

/// A division per pixel, not a product with 1/255: that would be off by one ulp for some values.
void unit_row(const std::uint8_t* src, float* dst, std::int64_t n) noexcept {
  constexpr std::int64_t block = 16;  // a fixed count is what the compiler turns into vectors at -O2
  std::int64_t i = 0;
  for (; i + block <= n; i += block)
    for (std::int64_t j = 0; j < block; ++j) dst[i + j] = static_cast<float>(src[i + j]) / 255.0f;
  for (; i < n; ++i) dst[i] = static_cast<float>(src[i]) / 255.0f;
}

std::int64_t row_elements(const Tensor& t) { return t.size(0) == 0 ? 0 : t.numel() / t.size(0); }

Dims shape_with_rows(const Tensor& t, std::size_t rows) {
  Dims shape = t.shape();
  shape[0] = static_cast<std::int64_t>(rows);
  return shape;
}

/// Calls `copy(to, from)` for each row number of the result and the source row it comes from.
template <class F>
void for_rows(std::span<const std::int64_t> indices, std::int64_t row_bytes, F copy) {
  const std::int64_t grain = std::max<std::int64_t>(1, chunk_bytes / std::max<std::int64_t>(1, row_bytes));
  par::chunks(static_cast<std::int64_t>(indices.size()), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) copy(i, indices[static_cast<std::size_t>(i)]);
  });
}

Tensor gather(const Tensor& t, std::span<const std::int64_t> indices) {
  Tensor out = empty(shape_with_rows(t, indices.size()), t.dtype());
  const auto row = static_cast<std::size_t>(row_elements(t)) * itemsize(t.dtype());
  if (row == 0) return out;
  const auto* src = static_cast<const char*>(t.view().data);
  auto* dst = static_cast<char*>(out.mutable_view().data);
  for_rows(indices, static_cast<std::int64_t>(row), [&](std::int64_t to, std::int64_t from) {
    std::memcpy(dst + static_cast<std::size_t>(to) * row, src + static_cast<std::size_t>(from) * row, row);
  });
  return out;
}

Tensor gather_unit(const Tensor& t, std::span<const std::int64_t> indices) {
  Tensor out = empty(shape_with_rows(t, indices.size()), DType::f32);
  const std::int64_t row = row_elements(t);
  const auto* src = t.data<std::uint8_t>();
  auto* dst = out.mutable_data<float>();
  for_rows(indices, row * 4,
           [&](std::int64_t to, std::int64_t from) { unit_row(src + from * row, dst + to * row, row); });
  return out;
}

Tensor dense(const Tensor& t) { return t.is_contiguous() ? t.detach() : t.detach().contiguous(); }

void require_rows(const Tensor& t, const char* arg, Loc loc) {
  if (t.dim() == 0)
    throw_error<ShapeError>({.op = op,
                             .arg = arg,
                             .given = t.describe(),
                             .wanted = "one dimension or more",
                             .what = "no rows",
                             .loc = loc});
}

void require_indices(std::span<const std::int64_t> indices, std::int64_t size, Loc loc) {
  for (std::int64_t i : indices)
    if (i < 0 || i >= size)
      throw_error<IndexError>({.op = op,
                               .arg = "index",
                               .given = std::to_string(i),
                               .wanted = fmt::format("0 to {}", size - 1),
                               .what = fmt::format("no such example among {}", size),
                               .loc = loc});
}

std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end, std::int64_t size, Loc loc) {
  if (begin < 0 || begin > end || end > size)
    throw_error<IndexError>({.op = op,
                             .arg = "range",
                             .given = fmt::format("[{}, {})", begin, end),
                             .wanted = fmt::format("within [0, {})", size),
                             .what = "not a range of the data set",
                             .loc = loc});
  std::vector<std::int64_t> v(static_cast<std::size_t>(end - begin));
  std::iota(v.begin(), v.end(), begin);
  return v;
}

}  // namespace

TensorDataset::TensorDataset(const Tensor& x, const Tensor& y, TensorDatasetOptions options, Loc loc)
    : options_(options) {
  if (!x.defined())
    throw_error<ValueError>({.op = op, .arg = "x", .given = "undefined", .what = "no examples", .loc = loc});
  require_rows(x, "x", loc);
  if (options.unit && x.dtype() != DType::u8)
    throw_error<DTypeError>({.op = op,
                             .arg = "x",
                             .given = x.describe(),
                             .wanted = "u8",
                             .what = "unit is for bytes",
                             .loc = loc});
  x_ = dense(x);
  if (!y.defined()) return;
  require_rows(y, "y", loc);
  if (y.size(0) != x.size(0))
    throw_error<ShapeError>({.op = op,
                             .arg = "y",
                             .given = y.describe(),
                             .wanted = fmt::format("{} rows, as x is {}", x.size(0), x.describe()),
                             .what = "inputs and targets differ in number",
                             .loc = loc});
  y_ = dense(y);
}

Batch TensorDataset::batch(std::span<const std::int64_t> indices) const {
  require_indices(indices, size(), {});
  return {options_.unit ? gather_unit(x_, indices) : gather(x_, indices),
          y_.defined() ? gather(y_, indices) : Tensor()};
}

Subset::Subset(DatasetRef whole, std::int64_t begin, std::int64_t end, Loc loc)
    : whole_(std::move(whole)), indices_(range(begin, end, whole_->size(), loc)) {}

Subset::Subset(DatasetRef whole, std::vector<std::int64_t> indices, Loc loc)
    : whole_(std::move(whole)), indices_(std::move(indices)) {
  require_indices(indices_, whole_->size(), loc);
}

Batch Subset::batch(std::span<const std::int64_t> indices) const {
  require_indices(indices, size(), {});
  std::vector<std::int64_t> mapped;
  mapped.reserve(indices.size());
  for (std::int64_t i : indices) mapped.push_back(indices_[static_cast<std::size_t>(i)]);
  return whole_->batch(mapped);
}

std::int64_t Subset::original_index(std::int64_t index) const {
  require_indices({&index, 1}, size(), {});
  return whole_->original_index(indices_[static_cast<std::size_t>(index)]);
}

std::pair<Subset, Subset> split_last(DatasetRef whole, double fraction, Loc loc) {
  if (!(fraction >= 0 && fraction <= 1))
    throw_error<ValueError>({.op = "split_last",
                             .arg = "fraction",
                             .given = fmt::format("{}", fraction),
                             .wanted = "0 to 1",
                             .what = "not a fraction",
                             .loc = loc});
  const std::int64_t n = whole->size();
  const auto first = static_cast<std::int64_t>(std::floor(static_cast<double>(n) * (1.0 - fraction)));
  return {Subset(whole, 0, first, loc), Subset(whole, first, n, loc)};
}

Tensor to_unit(const Tensor& pixels, Loc loc) {
  if (pixels.dtype() != DType::u8)
    throw_error<DTypeError>({.op = "to_unit",
                             .arg = "pixels",
                             .given = pixels.describe(),
                             .wanted = "u8",
                             .what = "not bytes",
                             .loc = loc});
  const Tensor src = dense(pixels);
  Tensor out = empty(pixels.shape(), DType::f32);
  const auto* from = src.data<std::uint8_t>();
  auto* to = out.mutable_data<float>();
  par::chunks(pixels.numel(), chunk_bytes,
              [&](std::int64_t begin, std::int64_t end) { unit_row(from + begin, to + begin, end - begin); });
  return out;
}

}  // namespace thalweg::data

// Products of all elements of a line but one: blocks' products, what is outside each block, and then the block itself.
// Depends on base, par, reduce_plan and reduce_rows. Invariant: blocks follow from the length of a line alone.
#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/ops/kernels/reduce_plan.hpp>
#include <thalweg/ops/kernels/reduce_rows.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 32768;

/// The lines along one dimension, in blocks.
template <class T>
struct Blocks {
  const T* src;
  T* dst;
  std::int64_t src_step, dst_step, n, per_line;
  Sequence src_lines, dst_lines;

  Blocks(const ConstView& from, const View& to, int dim) noexcept
      : src(from.as<T>()), dst(to.as<T>()), src_step(from.strides[dim]), dst_step(to.strides[dim]), n(from.shape[dim]),
        per_line((n + others_block - 1) / others_block) {
    Dims shape, from_strides, to_strides;
    for (int i = 0; i < from.shape.size(); ++i)
      if (i != dim) shape.push_back(from.shape[i]), from_strides.push_back(from.strides[i]), to_strides.push_back(to.strides[i]);
    src_lines = Sequence(shape, from_strides);
    dst_lines = Sequence(shape, to_strides);
  }
  std::int64_t total() const noexcept { return src_lines.size * per_line; }
  std::int64_t size(std::int64_t item) const noexcept { return std::min(others_block, n - item % per_line * others_block); }
  const T* row(std::int64_t item, T* buffer) const noexcept {
    const T* const x = src + src_lines.offset(item / per_line) + item % per_line * others_block * src_step;
    if (src_step == 1) return x;
    for (std::int64_t i = 0; i < size(item); ++i) buffer[i] = x[i * src_step];
    return buffer;
  }
  void write(std::int64_t item, double outside) const noexcept {
    T in[others_block], out[others_block];
    T* const y = dst + dst_lines.offset(item / per_line) + item % per_line * others_block * dst_step;
    reduce_rows<T>().others(row(item, in), size(item), outside, dst_step == 1 ? y : out);
    for (std::int64_t i = 0; dst_step != 1 && i < size(item); ++i) y[i * dst_step] = out[i];
  }
};

template <class T>
void others_of(const Blocks<T>& b) {
  const std::int64_t items = b.total();
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / std::min(b.n, others_block));
  if (b.per_line == 1) {
    par::chunks(items, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) b.write(i, 1);
    });
    return;
  }
  const mem::Scratch<double> products(static_cast<std::size_t>(items)), outside(static_cast<std::size_t>(items));
  par::chunks(items, grain, [&](std::int64_t begin, std::int64_t end) {
    T buffer[others_block];
    for (std::int64_t i = begin; i < end; ++i)
      products[static_cast<std::size_t>(i)] = reduce_rows<T>().product(b.row(i, buffer), b.size(i));
  });
  for (double *x = products.data(), *y = outside.data(); x < products.data() + items; x += b.per_line, y += b.per_line) {
    double run = 1;
    for (std::int64_t i = 0; i < b.per_line; ++i) y[i] = run, run *= x[i];
    run = 1;
    for (std::int64_t i = b.per_line; i-- > 0;) y[i] *= run, run *= x[i];
  }
  par::chunks(items, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) b.write(i, outside[static_cast<std::size_t>(i)]);
  });
}

}  // namespace

void product_of_others(const ConstView& src, const View& dst, int dim) {
  if (numel(dst) == 0) return;
  const par::FloatEnvironment environment;
  if (src.dtype == DType::f32) others_of(Blocks<float>(src, dst, dim));
  else others_of(Blocks<double>(src, dst, dim));
}

}  // namespace thalweg::kernels

// The search for an index that is out of range. Depends on base, copy_plan, index_range, par.
#include <thalweg/ops/kernels/index_range.hpp>

#include <atomic>

#include <thalweg/ops/kernels/copy_plan.hpp>
#include <thalweg/ops/kernels/index.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 65536;

template <class I>
std::int64_t scan_range(const ConstView& index, std::int64_t size) noexcept {
  const CopyPlan p = copy_plan(index.shape, index.strides, index.strides, true);
  const std::int64_t step = p.src[p.rank - 1];
  std::atomic<bool> good{true};
  par::chunks(p.total, grain_elements, [&](std::int64_t begin, std::int64_t end) {
    walk_rows(p, begin, end, [&](std::int64_t, std::int64_t s, std::int64_t n, std::int64_t) {
      if (!in_range(index.as<I>() + s, step, n, size)) good.store(false, std::memory_order_relaxed);
    });
  });
  if (good.load()) return -1;
  std::int64_t found = -1;
  walk_rows(p, 0, p.total, [&](std::int64_t, std::int64_t s, std::int64_t n, std::int64_t position) {
    if (found >= 0) return;
    const I* x = index.as<I>() + s;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto value = static_cast<std::int64_t>(x[i * step]);
      if (value >= 0 && value < size) continue;
      found = position + i;
      return;
    }
  });
  return found;
}

}  // namespace

std::int64_t first_out_of_range(const ConstView& index, std::int64_t size) noexcept {
  if (numel(index) == 0) return -1;
  return index.dtype == DType::i64 ? scan_range<std::int64_t>(index, size)
                                   : scan_range<std::int32_t>(index, size);
}

}  // namespace thalweg::kernels

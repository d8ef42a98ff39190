// See affine.hpp: maps made ready for the lanes, and those that need no arithmetic. Depends on par,
// affine_rows.
#include <thalweg/ops/kernels/affine.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <thalweg/ops/kernels/affine_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t chunk_pixels = 1 << 14;  // work that is worth a task

std::int32_t period_of(Fill fill, std::int64_t size) noexcept {
  switch (fill) {
    case Fill::reflect:
      return static_cast<std::int32_t>(2 * size);
    case Fill::wrap:
      return static_cast<std::int32_t>(std::max<std::int64_t>(size - 1, 1));
    default:
      return 1;
  }
}

void make_ready(AffineAxis& a, const double (&step)[3], std::int64_t size, Fill fill) noexcept {
  std::copy_n(step, 3, a.step);
  a.size = static_cast<std::int32_t>(size);
  a.period = period_of(fill, size);
  for (std::int64_t l = 0; l < affine_block; ++l) {
    const double away =
        std::min(std::max(step[1] * static_cast<double>(l), -affine_max_place), affine_max_place);
    const double below = std::floor(away);
    a.fraction[l] = static_cast<float>(away - below);
    a.whole[l] = static_cast<std::int32_t>(below);
    const std::int32_t rest = a.whole[l] % a.period;
    a.folded[l] = rest < 0 ? rest + a.period : rest;
  }
}

/// +1: the axis is copied as it is; -1: backwards; 0: neither. `own` and `other` are the map's steps along
/// this axis and the other one.
int copied(double own, double other, double at_zero, std::int64_t size) noexcept {
  if (other != 0) return 0;
  if (own == 1 && at_zero == 0) return 1;
  return own == -1 && at_zero == static_cast<double>(size - 1) ? -1 : 0;
}

void copy_turned(const AffinePlanes& p, int rows, int columns) noexcept {
  const auto row_bytes = static_cast<std::size_t>(p.width) * sizeof(float);
  for (std::int64_t r = 0; r < p.count * p.height; ++r) {
    const std::int64_t i = r % p.height, from = rows > 0 ? r : r - i + p.height - 1 - i;
    const float* x = p.x + from * p.width;
    float* y = p.y + r * p.width;
    if (columns > 0)
      std::memcpy(y, x, row_bytes);
    else
      std::reverse_copy(x, x + p.width, y);
  }
}

void one_image(const AffinePlanes& p, const AffineMap& map, Fill fill, float constant,
               const AffineRows& table) noexcept {
  const int rows = copied(map.row[0], map.row[1], map.row[2], p.height);
  const int columns = copied(map.column[1], map.column[0], map.column[2], p.width);
  if (rows != 0 && columns != 0) return copy_turned(p, rows, columns);
  AffineAxis axes[2];
  make_ready(axes[0], map.row, p.height, fill);
  make_ready(axes[1], map.column, p.width, fill);
  table.image[static_cast<int>(fill)](p, axes, constant);
}

}  // namespace

void affine_images(const ConstView& x, const View& y, std::span<const AffineMap> maps, Fill fill,
                   float constant) noexcept {
  if (numel(y) == 0) return;
  const AffinePlanes shape{nullptr, nullptr, y.shape[1], y.shape[2], y.shape[3]};
  const std::int64_t size = shape.count * shape.height * shape.width;
  const AffineRows& table = affine_rows();
  par::chunks(static_cast<std::int64_t>(maps.size()), std::max<std::int64_t>(1, chunk_pixels / size),
              [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t n = begin; n < end; ++n) {
                  AffinePlanes p = shape;
                  p.x = x.as<float>() + n * size;
                  p.y = y.as<float>() + n * size;
                  one_image(p, maps[static_cast<std::size_t>(n)], fill, constant, table);
                }
              });
}

}  // namespace thalweg::kernels

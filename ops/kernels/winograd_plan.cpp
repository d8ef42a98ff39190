// The choice of tiles and blocks. Depends on winograd_plan.
#include <thalweg/ops/kernels/winograd_plan.hpp>

namespace thalweg::kernels::winograd {
namespace {

constexpr std::int64_t strip_pixels = 400;  // of a strip's buffer: 25 KiB of 16 lanes

std::int64_t products(WinogradScheme scheme, const std::int64_t (&out)[2]) noexcept {
  const WinogradSizes& s = winograd_sizes[static_cast<int>(scheme)];
  return ceil_div(out[0], s.out) * ceil_div(out[1], s.out) * s.points * s.points;
}

}  // namespace

Plan::Plan(std::int64_t n, const std::int64_t (&in)[2], const std::int64_t (&out)[2],
           const std::int64_t (&padding)[2]) noexcept
    : batch(n) {
  const bool pair = in[0] == 2 && in[1] == 2 && padding[0] == 1 && padding[1] == 1;
  scheme = products(WinogradScheme::four, out) < products(WinogradScheme::two, out) ? WinogradScheme::four
                                                                                    : WinogradScheme::two;
  if (pair) scheme = WinogradScheme::pair;
  sizes = winograd_sizes[static_cast<int>(scheme)];
  points = static_cast<std::int64_t>(sizes.points) * sizes.points;
  for (int i = 0; i < 2; ++i) tiles[i] = ceil_div(out[i], sizes.out);
  const std::int64_t pitch = (tiles[1] - 1) * sizes.out + sizes.in;
  strip_rows = std::clamp<std::int64_t>((strip_pixels / pitch - sizes.in) / sizes.out + 1, 1, tiles[0]);
  strips = ceil_div(tiles[0], strip_rows);
}

void Plan::cut_blocks(std::int64_t count) noexcept {
  block_strips = std::clamp<std::int64_t>(count / most_tiles(1), 1, all_strips());
}

}  // namespace thalweg::kernels::winograd

// The transforms of Winograd's convolution in lanes over channels, one table per instruction set.
// Depends on the standard library only; internal to winograd*.cpp. Invariant: a lane sees nothing of the
// other lanes, so what stands in unused lanes never reaches a result.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

/// How a map is cut into tiles. Each axis is treated alike: `out` outputs from `in` inputs by `points`
/// products.
enum class WinogradScheme : std::uint8_t { two, four, pair };
inline constexpr int winograd_schemes = 3;

struct WinogradSizes {
  int in = 0, out = 0, points = 0;
  int skipped = 0;  ///< inputs before the first one read, which are padding and known to be zero
};

/// two: F(2,3); four: F(4,3); pair: the whole of a map of two with padding 1, of which three products remain.
inline constexpr WinogradSizes winograd_sizes[winograd_schemes] = {{4, 2, 4, 0}, {6, 4, 6, 0}, {2, 2, 3, 1}};

/// Where vectors of `lanes` floats lie: (i, j) of item number t at row * i + col * j + step * t.
struct WinogradLayout {
  std::int64_t row = 0, col = 0, step = 0;
};

struct WinogradTiles {
  /// out(t) = M in(t) M' for `count` tiles, M the scheme's matrix of that stage.
  using Stage = void (*)(const float* in, const WinogradLayout& from, float* out, const WinogradLayout& to,
                         std::int64_t count);
  struct Scheme {
    Stage data = nullptr;             ///< B', in x in to points x points
    Stage weights = nullptr;          ///< G, 3 x 3 to points x points
    Stage output = nullptr;           ///< A', points x points to out x out
    Stage gradient = nullptr;         ///< A, out x out to points x points
    Stage weight_gradient = nullptr;  ///< G', points x points to 3 x 3
  };

  int lanes = 0;
  Scheme schemes[winograd_schemes];

  /// Planes of rows * width dense floats, `plane` floats apart, to lanes: element (r, c) of plane l to
  /// out[r * out_row + c * lanes + l]. Lanes from `planes` on get what plane number planes - 1 has.
  void (*load)(const float* in, std::int64_t plane, std::int64_t planes, std::int64_t rows,
               std::int64_t width, float* out, std::int64_t out_row) = nullptr;
  /// The way back; lanes from `planes` on are dropped.
  void (*store)(const float* in, std::int64_t in_row, float* out, std::int64_t plane, std::int64_t planes,
                std::int64_t rows, std::int64_t width) = nullptr;
};

/// The table of the instruction set in use.
const WinogradTiles& winograd_tiles() noexcept;

}  // namespace thalweg::kernels

// How Winograd's convolution is cut: tiles, strips of tile rows, blocks of strips, panels of channels.
// Depends on winograd_tiles, conv.hpp and base/memory; internal to winograd*.cpp. Invariant: every cut
// follows from the geometry alone.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/conv.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/winograd_tiles.hpp>

namespace thalweg::kernels::winograd {

/// Channels of a panel: a multiple of the tile's rows and columns and of the lanes on every instruction set.
inline constexpr std::int64_t panel = 48;
/// What makes a chunk of about 20 us on one core: multiply-adds, and transformed vectors.
inline constexpr std::int64_t chunk_products = 2 << 20, chunk_vectors = 1 << 14;
/// Longest chain of sums before it is added to the others: it bounds the error, and a panel of so many rows
/// stays in the first-level cache.
inline constexpr std::int64_t longest_chain = 256;
/// Floats between the data of two points, so that they do not all fall on one set of the caches.
inline constexpr std::int64_t skew = 80;

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }
inline std::int64_t round_up(std::int64_t a, std::int64_t b) noexcept { return ceil_div(a, b) * b; }

/// The length of chains when `k` terms are cut into as few as may be.
inline std::int64_t chain_of(std::int64_t k) noexcept { return ceil_div(k, ceil_div(k, longest_chain)); }

/// A map, contiguous [batch, channels, size[0], size[1]].
struct Maps {
  std::int64_t channels = 0, size[2] = {};
};

/// The tiles that cover `outputs` of a 3x3 convolution over `inputs` with this padding. A strip is some tile
/// rows of one image; tiles are numbered by image, row, column.
struct Plan {
  WinogradScheme scheme = WinogradScheme::two;
  WinogradSizes sizes;
  std::int64_t points = 0;                  ///< sizes.points squared
  std::int64_t batch = 0, tiles[2] = {};    ///< tiles of an image by axis
  std::int64_t strip_rows = 0, strips = 0;  ///< tile rows of a strip, strips of an image
  std::int64_t block_strips = 0;            ///< strips whose transformed data is alive at once

  Plan(std::int64_t batch, const std::int64_t (&in)[2], const std::int64_t (&out)[2],
       const std::int64_t (&padding)[2]) noexcept;

  std::int64_t all_strips() const noexcept { return batch * strips; }
  std::int64_t first_tile(std::int64_t strip) const noexcept {
    return (strip / strips * tiles[0] + strip % strips * strip_rows) * tiles[1];
  }
  std::int64_t rows_of(std::int64_t strip) const noexcept {
    return std::min(strip_rows, tiles[0] - strip % strips * strip_rows);
  }
  /// No more tiles than this in `n` strips that follow one another.
  std::int64_t most_tiles(std::int64_t n) const noexcept { return n * strip_rows * tiles[1]; }
  /// Sets block_strips for blocks of about `count` tiles.
  void cut_blocks(std::int64_t count) noexcept;
};

/// Where a strip of one side (the inputs or the outputs of the tiles) lies in its maps and in a buffer of
/// vectors, a vector for each pixel.
struct Side {
  Maps maps;
  std::int64_t extent = 0;     ///< pixels of a tile by axis
  std::int64_t shift[2] = {};  ///< pixels before the map that the first tile covers
  std::int64_t pitch = 0;      ///< pixels of a buffer row

  Side(const Plan& plan, const Maps& m, std::int64_t tile_extent, std::int64_t s0, std::int64_t s1) noexcept
      : maps(m),
        extent(tile_extent),
        shift{s0, s1},
        pitch((plan.tiles[1] - 1) * plan.sizes.out + tile_extent) {}
  std::int64_t buffer_rows(const Plan& plan, std::int64_t tile_rows) const noexcept {
    return (tile_rows - 1) * plan.sizes.out + extent;
  }
  std::int64_t buffer_size(const Plan& plan, std::int64_t lanes) const noexcept {
    return buffer_rows(plan, plan.strip_rows) * pitch * lanes;
  }
};

/// Channel `c` of a transformed side lies at offset(c); its tiles are `tile` floats apart, its points
/// `point`.
struct Place {
  std::int64_t offset = 0, tile = 0, point = 0;
};

/// Transformed channels in panels, [panel][point][item][channel of the panel].
struct Panels {
  std::int64_t channels = 0, items = 0, points = 0;
  Panels(std::int64_t c, std::int64_t lanes, std::int64_t n, std::int64_t p) noexcept
      : channels(round_up(c, lanes)), items(n), points(p) {}
  std::int64_t count() const noexcept { return ceil_div(channels, panel); }
  std::int64_t width(std::int64_t q) const noexcept { return std::min(panel, channels - q * panel); }
  std::int64_t point(std::int64_t q) const noexcept { return items * width(q) + skew; }
  std::int64_t start(std::int64_t q) const noexcept { return q * points * (items * panel + skew); }
  std::int64_t size() const noexcept { return start(count()); }
  Place place(std::int64_t c) const noexcept {
    const std::int64_t q = c / panel;
    return {start(q) + c % panel, width(q), point(q)};
  }
};

/// Pieces of scratch for the chunks that run at one time. A chunk gets the piece of its place in the section
/// if that is free, so that a thread tends to meet the piece that is in its cache.
class Pieces {
 public:
  explicit Pieces(std::int64_t floats)
      : size_(round_up(floats, 16)),
        count_(par::num_threads()),
        memory_(static_cast<std::size_t>(size_ * count_)) {}

  class Lease {
   public:
    Lease(Pieces& from, std::int64_t chunk_begin, std::int64_t section) noexcept
        : from_(from), at_(chunk_begin * from.count_ / section) {
      while (from_.taken_[at_].exchange(true, std::memory_order_acquire)) at_ = (at_ + 1) % from_.count_;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { from_.taken_[at_].store(false, std::memory_order_release); }
    float* data() const noexcept { return from_.memory_.data() + at_ * from_.size_; }

   private:
    Pieces& from_;
    std::int64_t at_;
  };

 private:
  static constexpr int most_threads = 256;
  std::int64_t size_, count_;
  mem::Scratch<float> memory_;
  std::atomic<bool> taken_[most_threads] = {};
};

/// Transforms the strips [first, last) of `maps` by `stage` (data or gradient), a chunk of strips and lanes
/// at a time; place(c) says where channel c goes, tile 0 being the first of strip `first`. Parallel.
template <class PlaceOf>
void transform(const Plan& plan, const Side& side, WinogradTiles::Stage stage, const float* maps,
               std::int64_t first, std::int64_t last, Pieces& pieces, float* out, PlaceOf&& place) {
  const WinogradTiles& tiles = winograd_tiles();
  const std::int64_t lanes = tiles.lanes, chunks = ceil_div(side.maps.channels, lanes);
  const std::int64_t row = side.pitch * lanes, tile_step = plan.sizes.out * lanes;
  const std::int64_t height = side.maps.size[0], width = side.maps.size[1];
  const std::int64_t grain = std::max<std::int64_t>(1, chunk_vectors / (plan.most_tiles(1) * plan.points));
  par::chunks((last - first) * chunks, grain, [&](std::int64_t begin, std::int64_t end) noexcept {
    const Pieces::Lease lease(pieces, begin, (last - first) * chunks);
    float* const buffer = lease.data();
    std::fill_n(buffer, side.buffer_size(plan, lanes), 0.0f);
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t strip = first + item / chunks, channel = item % chunks * lanes;
      const std::int64_t tile_rows = plan.rows_of(strip);
      const std::int64_t top = strip % plan.strips * plan.strip_rows * plan.sizes.out - side.shift[0];
      const std::int64_t bottom = top + side.buffer_rows(plan, tile_rows);
      const std::int64_t from = std::max<std::int64_t>(0, top), to = std::min(height, bottom);
      if (plan.strips > 1) {  // another strip's rows may stand where this one has none
        std::fill_n(buffer, (from - top) * row, 0.0f);
        std::fill_n(buffer + (to - top) * row, (bottom - to) * row, 0.0f);
      }
      const float* const plane = maps + (strip / plan.strips * side.maps.channels + channel) * height * width;
      tiles.load(plane + from * width, height * width, side.maps.channels - channel, to - from, width,
                 buffer + (from - top) * row + side.shift[1] * lanes, row);
      const Place at = place(channel);
      const std::int64_t tile0 = plan.first_tile(strip) - plan.first_tile(first);
      for (std::int64_t y = 0; y < tile_rows; ++y)
        stage(buffer + y * plan.sizes.out * row, {row, lanes, tile_step},
              out + at.offset + (tile0 + y * plan.tiles[1]) * at.tile,
              {plan.sizes.points * at.point, at.point, at.tile}, plan.tiles[1]);
    }
  });
}

}  // namespace thalweg::kernels::winograd

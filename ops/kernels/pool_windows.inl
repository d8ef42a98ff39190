// Windows of any height and width in lanes, columns 1 or 2 apart. Several maps lie side by side in buffers,
// so that small ones fill vectors too. Included once per instruction set by pool_rows.inl, inside its
// namespace (so no include guard). Invariant: what lies between the maps in a buffer never wins and adds
// nothing.

/// Whole and partial copies without a call: rows of maps are short.
template <class T>
HWY_INLINE void copy_row(const T* from, T* to, std::int64_t n) {
  const char* s = reinterpret_cast<const char*>(from);
  char* t = reinterpret_cast<char*>(to);
  std::int64_t bytes = n * static_cast<std::int64_t>(sizeof(T));
  for (; bytes >= 64; bytes -= 64, s += 64, t += 64) __builtin_memcpy(t, s, 64);
  if (bytes & 32) __builtin_memcpy(t, s, 32), s += 32, t += 32;
  if (bytes & 16) __builtin_memcpy(t, s, 16), s += 16, t += 16;
  if (bytes & 8) __builtin_memcpy(t, s, 8), s += 8, t += 8;
  if (bytes & 4) __builtin_memcpy(t, s, 4), s += 4, t += 4;
  if (bytes & 2) __builtin_memcpy(t, s, 2), s += 2, t += 2;
  if (bytes & 1) *t = *s;
}

/// The floats x[0], x[stride], ..
template <int stride>
HWY_INLINE V every(const float* x) {
  if constexpr (stride == 1)
    return hn::LoadU(d, x);
  else
    return hn::ConcatEven(d, hn::LoadU(d, x + width), hn::LoadU(d, x));
}

/// Calls f(map, maps, window row, rows of taps first to last) with the buffer's rows filled; each row of it
/// is `row` floats, `strip.segment` for each map.
template <class F>
HWY_INLINE void each_strip_row(const float* x, const PoolGeometry& g, const Strip& strip, std::int64_t count,
                               float* buffer, F f) {
  for (std::int64_t map = 0; map < count; map += strip.maps) {
    const std::int64_t maps = std::min(strip.maps, count - map);
    for (std::int64_t i = 0; i < g.out[0]; ++i) {
      std::int64_t first = g.kernel[0], last = 0;
      for (std::int64_t k = 0; k < g.kernel[0]; ++k) {
        const std::int64_t from = i * g.stride[0] - g.padding[0] + k * g.dilation[0];
        if (from < 0 || from >= g.in[0]) continue;
        first = std::min(first, k), last = k + 1;
        const float* source = x + (map * g.in[0] + from) * g.in[1];
        float* to = buffer + k * strip.row + g.padding[1];
        for (std::int64_t q = 0; q < maps; ++q, source += g.in[0] * g.in[1], to += strip.segment)
          copy_row(source, to, g.in[1]);
      }
      f(map, maps, i, first, last);
    }
  }
}

template <int stride>
HWY_INLINE void max_of(const float* x, float* y, std::uint8_t* index, const PoolGeometry& g,
                       const Strip& strip, const WindowColumns& columns, std::int64_t count) {
  constexpr float nothing = -std::numeric_limits<float>::infinity();
  HWY_ALIGN float buffer[static_cast<std::size_t>(pool_buffer)];
  HWY_ALIGN float value[static_cast<std::size_t>(pool_buffer)];
  HWY_ALIGN std::uint8_t place[static_cast<std::size_t>(pool_buffer)];
  std::fill_n(buffer, g.kernel[0] * strip.row, nothing);
  each_strip_row(x, g, strip, count, buffer,
                 [&](std::int64_t map, std::int64_t maps, std::int64_t i, std::int64_t first,
                     std::int64_t last) HWY_ATTR {
                   const VI low = hn::Set(di, static_cast<std::int32_t>(first * g.kernel[1]));
                   for (std::int64_t j = 0; j < maps * strip.lanes; j += width) {
                     V best = hn::Set(d, nothing);
                     // Where all are -inf nothing wins, and the first that is no padding is the one.
                     VI at = hn::Add(hn::LoadU(di, columns.first_tap + j), low);
                     for (std::int64_t k = first; k < last; ++k)
                       for (std::int64_t l = 0; l < g.kernel[1]; ++l)
                         contend(every<stride>(buffer + k * strip.row + j * stride + l * g.dilation[1]),
                                 hn::Set(di, static_cast<std::int32_t>(k * g.kernel[1] + l)), best, at);
                     hn::StoreU(best, d, value + j);
                     store_index(at, place + j);
                   }
                   for (std::int64_t q = 0; q < maps; ++q) {
                     const std::int64_t o = ((map + q) * g.out[0] + i) * g.out[1];
                     copy_row(value + q * strip.lanes, y + o, g.out[1]);
                     copy_row(place + q * strip.lanes, index + o, g.out[1]);
                   }
                 });
}

template <int stride>
HWY_INLINE void mean_over(const float* x, float* y, const PoolGeometry& g, const Strip& strip,
                          const WindowColumns& columns, std::int64_t count) {
  HWY_ALIGN float buffer[static_cast<std::size_t>(pool_buffer)];
  HWY_ALIGN float value[static_cast<std::size_t>(pool_buffer)];
  std::fill_n(buffer, g.kernel[0] * strip.row, 0.f);
  each_strip_row(x, g, strip, count, buffer,
                 [&](std::int64_t map, std::int64_t maps, std::int64_t i, std::int64_t first,
                     std::int64_t last) HWY_ATTR {
                   for (std::int64_t j = 0; j < maps * strip.lanes; j += width) {
                     V total = hn::Zero(d);
                     for (std::int64_t k = first; k < last; ++k)
                       for (std::int64_t l = 0; l < g.kernel[1]; ++l)
                         total = hn::Add(total, every<stride>(buffer + k * strip.row + j * stride + l));
                     hn::StoreU(total, d, value + j);
                   }
                   const float* sizes = columns.sizes + i * g.out[1];
                   for (std::int64_t q = 0; q < maps; ++q) {
                     float* to = y + ((map + q) * g.out[0] + i) * g.out[1];
                     for (std::int64_t j = 0; j < g.out[1]; ++j)
                       to[j] = value[q * strip.lanes + j] / sizes[j];
                   }
                 });
}

void max(const float* x, float* y, std::uint8_t* index, const PoolGeometry& g, const Strip& strip,
         const WindowColumns& columns, std::int64_t count) {
  if (g.stride[1] == 1)
    max_of<1>(x, y, index, g, strip, columns, count);
  else
    max_of<2>(x, y, index, g, strip, columns, count);
}
void mean(const float* x, float* y, const PoolGeometry& g, const Strip& strip, const WindowColumns& columns,
          std::int64_t count) {
  if (g.stride[1] == 1)
    mean_over<1>(x, y, g, strip, columns, count);
  else
    mean_over<2>(x, y, g, strip, columns, count);
}

// ---- gradient of the mean: each element collects from the windows that hold it ----

/// What every element of one column parity gets, from j on: `shifts` leads to the window columns that hold
/// it.
HWY_INLINE V collect(const float* const* holders, std::int64_t n, const std::int64_t* shifts,
                     std::int64_t n_shifts, std::int64_t j) {
  V sum = hn::Zero(d);
  for (std::int64_t h = 0; h < n; ++h)
    for (std::int64_t t = 0; t < n_shifts; ++t) sum = hn::Add(sum, hn::LoadU(d, holders[h] + j - shifts[t]));
  return sum;
}

template <int stride>
HWY_INLINE void collect_maps(const float* grad, float* dx, const PoolGeometry& g, const Strip& strip,
                             const float* sizes, std::int64_t count) {
  HWY_ALIGN float share[static_cast<std::size_t>(pool_buffer)];  // rows of windows, zeros between the maps
  HWY_ALIGN float row[static_cast<std::size_t>(pool_buffer)];
  std::fill_n(share, g.out[0] * strip.row, 0.f);
  std::int64_t shifts[2][256], n_shifts[2] = {};
  for (std::int64_t l = g.kernel[1] - 1; l >= 0; --l) {  // last first: windows then come from left to right
    const std::int64_t column = l - g.padding[1], parity = stride == 1 ? 0 : column & 1;
    shifts[parity][n_shifts[parity]++] = stride == 1 ? column : column >> 1;
  }
  const float* holders[256];  // the rows of windows that hold a row of elements
  for (std::int64_t map = 0; map < count; map += strip.maps) {
    const std::int64_t maps = std::min(strip.maps, count - map);
    for (std::int64_t q = 0; q < maps; ++q)
      for (std::int64_t i = 0; i < g.out[0]; ++i) {
        const float* from = grad + ((map + q) * g.out[0] + i) * g.out[1];
        float* to = share + i * strip.row + strip.segment + q * strip.lanes;
        for (std::int64_t j = 0; j < g.out[1]; ++j) to[j] = from[j] / sizes[i * g.out[1] + j];
      }
    for (std::int64_t r = 0; r < g.in[0]; ++r) {
      std::int64_t n = 0;
      for (std::int64_t k = g.kernel[0] - 1; k >= 0; --k) {
        const std::int64_t start = r + g.padding[0] - k, i = start / g.stride[0];
        if (start >= 0 && start % g.stride[0] == 0 && i < g.out[0])
          holders[n++] = share + i * strip.row + strip.segment;
      }
      for (std::int64_t j = 0; j < maps * strip.lanes; j += width) {
        const V even = collect(holders, n, shifts[0], n_shifts[0], j);
        if constexpr (stride == 1)
          hn::StoreU(even, d, row + j);
        else
          hn::StoreInterleaved2(even, collect(holders, n, shifts[1], n_shifts[1], j), d, row + 2 * j);
      }
      for (std::int64_t q = 0; q < maps; ++q)
        copy_row(row + q * strip.lanes * stride, dx + ((map + q) * g.in[0] + r) * g.in[1], g.in[1]);
    }
  }
}

void mean_backward(const float* grad, float* dx, const PoolGeometry& g, const Strip& strip,
                   const WindowColumns& columns, std::int64_t count) {
  if (g.stride[1] == 1)
    collect_maps<1>(grad, dx, g, strip, columns.sizes, count);
  else
    collect_maps<2>(grad, dx, g, strip, columns.sizes, count);
}

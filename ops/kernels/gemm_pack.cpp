// Packs strided operands into panels: rows copied when lanes are dense, squares transposed in registers when
// k is. Depends on gemm_pack.hpp and gemm_pack_kernels. What the lanes leave over is done with baseline
// instructions.
#include <thalweg/ops/kernels/gemm_pack.hpp>

#include <algorithm>
#include <cstring>

#include <thalweg/ops/kernels/gemm_pack_kernels.hpp>

namespace thalweg::kernels {
namespace {

/// out[p * width + l] = from[l * step + p] for l < 4, p < k.
void pack_four(const float* from, std::int64_t step, std::int64_t k, std::int64_t width,
               float* out) noexcept {
  typedef float V __attribute__((vector_size(16)));
  std::int64_t p = 0;
  for (; p + 4 <= k; p += 4, out += 4 * width) {
    V a, b, c, d;
    if (p % 16 == 0)
      for (int l = 0; l < 4; ++l) __builtin_prefetch(from + (4 + l) * step + p);
    std::memcpy(&a, from + p, 16);
    std::memcpy(&b, from + step + p, 16);
    std::memcpy(&c, from + 2 * step + p, 16);
    std::memcpy(&d, from + 3 * step + p, 16);
    const V ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const V ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const V r0 = __builtin_shufflevector(ab, cd, 0, 1, 4, 5),
            r1 = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    const V r2 = __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5),
            r3 = __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7);
    std::memcpy(out, &r0, 16);
    std::memcpy(out + width, &r1, 16);
    std::memcpy(out + 2 * width, &r2, 16);
    std::memcpy(out + 3 * width, &r3, 16);
  }
  for (; p < k; ++p, out += width)
    for (int l = 0; l < 4; ++l) out[l] = from[l * step + p];
}

void pack_four(const double* from, std::int64_t step, std::int64_t k, std::int64_t width,
               double* out) noexcept {
  typedef double V __attribute__((vector_size(16)));
  std::int64_t p = 0;
  for (; p + 2 <= k; p += 2, out += 2 * width) {
    V a, b, c, d;
    std::memcpy(&a, from + p, 16);
    std::memcpy(&b, from + step + p, 16);
    std::memcpy(&c, from + 2 * step + p, 16);
    std::memcpy(&d, from + 3 * step + p, 16);
    const V low[] = {__builtin_shufflevector(a, b, 0, 2), __builtin_shufflevector(c, d, 0, 2)};
    const V high[] = {__builtin_shufflevector(a, b, 1, 3), __builtin_shufflevector(c, d, 1, 3)};
    std::memcpy(out, low, 32);
    std::memcpy(out + width, high, 32);
  }
  for (; p < k; ++p, out += width)
    for (int l = 0; l < 4; ++l) out[l] = from[l * step + p];
}

/// Lanes [l, end) by k from `from` to out, where their rows are not dense.
template <class T>
void turn_lanes(const GemmOperand<T>& from, std::int64_t l, std::int64_t end, std::int64_t k,
                std::int64_t width, T* out) noexcept {
  if (from.k_step == 1)
    for (; l + 4 <= end; l += 4) pack_four(from.data + l * from.lane_step, from.lane_step, k, width, out + l);
  for (; l < end; ++l)
    for (std::int64_t p = 0; p < k; ++p) out[p * width + l] = from.data[l * from.lane_step + p * from.k_step];
}

constexpr std::int64_t ahead = 16;  // rows, each in a page of its own, that are asked for in advance

/// Dense lanes, a full panel of known width: the copy of a row is a few vector moves.
template <int bytes, class T>
void pack_rows(const T* from, std::int64_t k_step, std::int64_t k, T* out) noexcept {
  for (std::int64_t p = 0; p < k; ++p) {
    const T* row = from + p * k_step;
    for (int b = 0; b < bytes; b += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(row + ahead * k_step) + b);
    std::memcpy(out + p * (bytes / static_cast<int>(sizeof(T))), row, bytes);
  }
}

template <class T>
bool pack_full_rows(const T* from, std::int64_t k_step, std::int64_t k, std::int64_t width, T* out) noexcept {
  switch (width * static_cast<std::int64_t>(sizeof(T))) {
    case 192:
      return pack_rows<192>(from, k_step, k, out), true;
    case 64:
      return pack_rows<64>(from, k_step, k, out), true;
    case 32:
      return pack_rows<32>(from, k_step, k, out), true;
    case 16:
      return pack_rows<16>(from, k_step, k, out), true;
    default:
      return false;
  }
}

}  // namespace

template <class T>
void gemm_pack_panel(const GemmOperand<T>& from, std::int64_t first, std::int64_t count, std::int64_t k0,
                     std::int64_t k, std::int64_t width, T* out) noexcept {
  const T* src = from.data + first * from.lane_step + k0 * from.k_step;
  if (from.lane_step == 1 && count == width && pack_full_rows(src, from.k_step, k, width, out)) return;
  if (const auto& kernels = gemm_pack_kernels<T>(); from.lane_step == 1 && width % kernels.lanes == 0)
    return kernels.rows(src, from.k_step, k, count, width, out);
  if (from.lane_step == 1) {
    for (std::int64_t p = 0; p < k; ++p) {
      std::copy_n(src + p * from.k_step, count, out + p * width);
      std::fill_n(out + p * width + count, width - count, T{0});
    }
    return;
  }
  std::int64_t l = 0;
  if (from.k_step == 1) {
    const auto& kernels = gemm_pack_kernels<T>();
    const std::int64_t whole = k / kernels.turned * kernels.turned;
    if (whole > 0) l = kernels.turn(src, from.lane_step, whole, count, width, out);
    turn_lanes({src + whole, from.lane_step, 1}, 0, l, k - whole, width, out + whole * width);
  }
  turn_lanes({src, from.lane_step, from.k_step}, l, count, k, width, out);
  for (std::int64_t p = 0; p < k; ++p) std::fill(out + p * width + count, out + (p + 1) * width, T{0});
}

template void gemm_pack_panel<float>(const GemmOperand<float>&, std::int64_t, std::int64_t, std::int64_t,
                                     std::int64_t, std::int64_t, float*) noexcept;
template void gemm_pack_panel<double>(const GemmOperand<double>&, std::int64_t, std::int64_t, std::int64_t,
                                      std::int64_t, std::int64_t, double*) noexcept;

}  // namespace thalweg::kernels

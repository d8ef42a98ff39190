// The plan of a pointwise call. Depends on base and the row conversions.
#include <thalweg/ops/kernels/pointwise_walk.hpp>

#include <cstdlib>
#include <utility>

namespace thalweg::kernels::detail {
namespace {

/// Fills shape and strides, outermost first: by falling stride of the destination, without dimensions of
/// extent 1, and with neighbours merged wherever every operand steps through both alike.
void merge_dims(Walk& w, const Dims& shape, const Dims* const* strides) noexcept {
  int order[max_dims];
  int rank = 0;
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    int at = rank++;
    for (; at > 0 && std::abs((*strides[0])[order[at - 1]]) < std::abs((*strides[0])[d]); --at)
      order[at] = order[at - 1];
    order[at] = d;
  }
  for (int i = 0; i < rank; ++i) {
    const int d = order[i];
    bool merged = w.rank > 0;
    for (int k = 0; k < w.operands && merged; ++k)
      merged = w.operand[k].stride[w.rank - 1] == (*strides[k])[d] * shape[d];
    if (!merged) w.shape[w.rank++] = 1;
    w.shape[w.rank - 1] *= shape[d];
    for (int k = 0; k < w.operands; ++k) w.operand[k].stride[w.rank - 1] = (*strides[k])[d];
  }
  if (w.rank == 0) {  // a single element
    w.rank = 1;
    w.shape[0] = 1;
    for (int k = 0; k < w.operands; ++k) w.operand[k].stride[0] = 1;
  }
}

void set_operand(Walk& w, int k, const void* data, DType dtype, DType compute) noexcept {
  Operand& o = w.operand[k];
  const bool same = dtype == compute;
  o.data = static_cast<char*>(const_cast<void*>(data));
  o.itemsize = static_cast<std::int64_t>(itemsize(dtype));
  o.convert = k == 0 ? convert_row(dtype, compute) : convert_row(compute, dtype);
  bool flat = same, number = k > 0;
  std::int64_t step = 1;
  for (int d = w.rank - 1; d >= 0; --d) {
    flat = flat && o.stride[d] == step;
    number = number && o.stride[d] == 0;
    step *= w.shape[d];
  }
  const std::int64_t inner = o.stride[w.rank - 1];
  o.access = flat                 ? Access::flat
             : number             ? Access::number
             : same && inner == 1 ? Access::row
             : k > 0 && inner == 0 ? Access::splat
                                  : Access::gathered;
}

/// Looks for sources whose elements lie side by side in another dimension than the innermost, and brings that
/// dimension next to it.
void find_tiles(Walk& w, DType compute, const ConstView* src) noexcept {
  constexpr std::int64_t least = 8;
  const int last = w.rank - 1;
  if (last < 1 || w.row() < least || w.compute_size < 4) return;
  for (int k = 1; k < w.operands; ++k) {
    Operand& o = w.operand[k];
    if (o.access != Access::gathered || src[k - 1].dtype != compute) continue;
    int dense = last - 1;
    while (dense >= 0 && (o.stride[dense] != 1 || w.shape[dense] < least)) --dense;
    if (dense < 0 || w.tiles == max_tiles || (w.tiles > 0 && dense != last - 1)) continue;
    std::swap(w.shape[dense], w.shape[last - 1]);
    for (int i = 0; i < w.operands; ++i) std::swap(w.operand[i].stride[dense], w.operand[i].stride[last - 1]);
    o.access = Access::tile;
    o.tile = w.tiles++;
  }
}

}  // namespace

void plan_walk(Walk& w, DType compute, const ConstView* src, int n_src, const View& dst,
               bool stream, bool tiles) noexcept {
  w.operands = n_src + 1;
  w.compute_size = static_cast<std::int64_t>(itemsize(compute));
  const Dims* strides[max_operands] = {&dst.strides};
  for (int k = 1; k <= n_src; ++k) strides[k] = &src[k - 1].strides;
  merge_dims(w, dst.shape, strides);
  set_operand(w, 0, dst.data, dst.dtype, compute);
  for (int k = 1; k <= n_src; ++k) set_operand(w, k, src[k - 1].data, src[k - 1].dtype, compute);
  if (tiles) find_tiles(w, compute, src);
  w.stream = stream && (w.operand[0].access == Access::flat || w.operand[0].access == Access::row);
}

}  // namespace thalweg::kernels::detail

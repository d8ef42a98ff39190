// Gather, scatter, select and one-hot along a dimension. Depends on tensor.
// An index is i64 or i32 and each of its entries lies in [0, n), n being the size it points into; it has no
// gradient. Errors: IndexError (an entry or a dimension out of range), ShapeError, DTypeError, ValueError
// (undefined tensor).
#pragma once

#include <optional>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// y[..,i,..] = x[..,index[..,i,..],..] along `dim`. The index has x's rank and no size above x's but along
/// dim.
Tensor gather(Arg x, int dim, Arg index);
/// A copy of x with y[..,index[..,i,..],..] += source[..,i,..]. Index and source have one shape, of x's rank
/// and no size above x's but along dim. Sums into one element run in the order of the sources.
Tensor scatter_add(Arg x, int dim, Arg index, Arg source);
/// Whole slices: y[..,i,..] = x[..,index[i],..]. The index is a vector.
Tensor index_select(Arg x, int dim, Arg index);
/// A copy of x with y[..,index[i],..] += source[..,i,..]. The index is a vector.
Tensor index_add(Arg x, int dim, Arg index, Arg source);
struct EmbeddingOptions {
  std::optional<std::int64_t> padding_idx{};  ///< a row (negative: from the end) that gets gradient 0
};
/// Rows of a table: y[..,:] = weight[index[..],:]; weight is [rows, features], the index has any shape.
/// Throws IndexError naming the position and value of an index, or a padding_idx, that is no row.
Tensor embedding(Arg weight, Arg index, EmbeddingOptions options = {});
/// y[..,c] = (index[..] == c) for c < classes, as `dtype`. No gradient.
Tensor one_hot(Arg index, std::int64_t classes, DType dtype = DType::f32);

}  // namespace thalweg

// Shapes, slices and copies. Depends on tensor.
// Negative dimensions count from the end. Errors: ShapeError (sizes), IndexError (dimension or position out
// of range), ValueError (a dimension named twice, a step below 1, an undefined tensor).
#pragma once

#include <span>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// As the end of a slice: up to the last element.
inline constexpr std::int64_t to_end = INT64_MAX;

/// The same elements in another shape, one size of which may be -1; a view where strides allow it, else a
/// copy.
Tensor reshape(Arg x, const Dims& shape);
/// As reshape, but never a copy: throws ShapeError where one would be needed.
Tensor view(Arg x, const Dims& shape);
/// Dimensions dim0 and dim1 exchanged; a view.
Tensor transpose(Arg x, int dim0, int dim1);
/// Dimension i of the result is dimension order[i] of x; a view.
Tensor permute(Arg x, const Dims& order);
/// Size-1 (or missing leading) dimensions repeated up to `shape` (-1 keeps a size); a view with stride 0.
Tensor expand(Arg x, const Dims& shape);
/// A size-1 dimension inserted at `dim`.
Tensor unsqueeze(Arg x, int dim);
/// The size-1 dimension `dim` removed (one of another size stays).
Tensor squeeze(Arg x, int dim);
/// All size-1 dimensions removed.
Tensor squeeze(Arg x);
/// Dimensions start to end, both included, made one; a 0-d tensor becomes [1].
Tensor flatten(Arg x, int start = 0, int end = -1);

/// Elements start, start + step, ... below `end` along `dim`; negative positions count from the end, and
/// positions beyond it are cut to it, as in Python. step >= 1. A view.
Tensor slice(Arg x, int dim, std::int64_t start, std::int64_t end = to_end, std::int64_t step = 1);
/// Position `index` of dimension `dim`, which is dropped; a view.
Tensor select(Arg x, int dim, std::int64_t index);
/// Zeros of g's shape, but `size` along `dim`, with g where slice() of the same arguments would read: its
/// adjoint.
Tensor slice_backward(Arg g, std::int64_t size, int dim, std::int64_t start, std::int64_t end = to_end,
                      std::int64_t step = 1);
/// Slices of the given sizes along `dim`, which must add up to its size.
std::vector<Tensor> split(Arg x, std::span<const std::int64_t> sizes, int dim = 0);
std::vector<Tensor> split(Arg x, std::initializer_list<std::int64_t> sizes, int dim = 0);
/// At most n slices of equal size ceil(size / n), the last one shorter.
std::vector<Tensor> chunk(Arg x, std::int64_t n, int dim = 0);

/// Tensors of one dtype joined along `dim`, in which alone they may differ.
Tensor cat(std::span<const Tensor> xs, int dim = 0, Loc loc = Loc::here());
Tensor cat(std::initializer_list<Tensor> xs, int dim = 0, Loc loc = Loc::here());
/// Tensors of one shape and dtype joined along a new dimension.
Tensor stack(std::span<const Tensor> xs, int dim = 0, Loc loc = Loc::here());
Tensor stack(std::initializer_list<Tensor> xs, int dim = 0, Loc loc = Loc::here());

/// The order of elements reversed along `dims` (none: all).
Tensor flip(Arg x, const Dims& dims = {});
/// x inside a border of `value`, before[d] wide before and after[d] wide behind dimension d.
Tensor pad(Arg x, const Dims& before, const Dims& after, double value = 0);

/// x itself when its elements lie row by row without gaps, else a copy that does.
Tensor contiguous(Arg x);
/// A copy with memory of its own.
Tensor clone(Arg x);
/// x itself when it has that dtype, else converted: floating to integer truncates and saturates, NaN gives 0,
/// to bool is x != 0. The gradient is converted back.
Tensor cast(Arg x, DType dtype);

}  // namespace thalweg

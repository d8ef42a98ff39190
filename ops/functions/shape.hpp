// Shapes, slices and copies. Depends on tensor.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// The same elements in another shape, one size of which may be -1; a view where strides allow it, else a copy.
Tensor reshape(Arg x, const Dims& shape);
/// Dimensions dim0 and dim1 exchanged; a view.
Tensor transpose(Arg x, int dim0, int dim1);
/// Size-1 (or missing leading) dimensions repeated up to `shape` (-1 keeps a size); a view with stride 0.
Tensor expand(Arg x, const Dims& shape);
/// A size-1 dimension inserted at `dim`.
Tensor unsqueeze(Arg x, int dim);
/// The size-1 dimension `dim` removed (one of another size stays).
Tensor squeeze(Arg x, int dim);

}  // namespace thalweg

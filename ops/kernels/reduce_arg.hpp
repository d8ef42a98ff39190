// Internal door of reduce.cpp to reduce_arg.cpp: positions of extremes.
#pragma once

#include <thalweg/ops/kernels/reduce.hpp>

namespace thalweg::kernels {

/// reduce() for argmax and argmin; dst is not empty.
void reduce_arg(ReduceKind kind, const ConstView& src, const View& dst, const Dims& axes) noexcept;

}  // namespace thalweg::kernels

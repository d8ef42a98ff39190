// From operands and attributes to the sizes of a convolution, with every user error. Depends on op_def.hpp,
// kernels/conv.hpp. Invariant: a geometry that is returned can be run.
#pragma once

#include <thalweg/ops/structured/conv.hpp>

namespace thalweg::ops {

/// Operands x, w and, unless absent, b.
kernels::ConvGeometry conv_geometry(const Ins& in, const ConvAttrs& t);
/// Operands g and w, `t.size` the size of the input.
kernels::ConvGeometry input_gradient_geometry(const Ins& in, const ConvAttrs& t);
/// Operands g and x, `t.size` the size of the kernel.
kernels::ConvGeometry weight_gradient_geometry(const Ins& in, const ConvAttrs& t);

}  // namespace thalweg::ops

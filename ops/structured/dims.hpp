// Checks and conversions of dimension arguments, shared by the structured ops. Depends on op_def.hpp.
// Invariant: every function here throws IndexError or ValueError naming the op, or returns dims in [0, rank).
#pragma once

#include <thalweg/autograd/graph/op_def.hpp>

namespace thalweg::ops {

/// `d` in [-rank, rank) as [0, rank). Throws IndexError naming `arg`.
int resolve_dim(const Ins& in, std::int64_t d, int rank, const char* arg = "dim");
/// A dims list resolved, in rising order; empty means all. Throws IndexError, ValueError (a dim twice).
Dims resolve_dims(const Ins& in, const Dims& dims, int rank);
/// The same without checks, for vjps (infer has checked).
Dims resolved(const Dims& dims, int rank);
/// `shape` with `dims` (resolved) removed, or 1 with keepdim.
Dims reduced_shape(const Dims& shape, const Dims& dims, bool keepdim);
/// A reduced tensor's gradient or value with the reduced dims back as size 1.
Tensor restore_dims(const Tensor& t, const Dims& full_shape, const Over& over);
/// Throws DTypeError unless input i is floating.
void require_floating(const Ins& in, int i, const char* arg);
/// Throws ValueError when input i is absent.
void require_present(const Ins& in, int i, const char* arg);

}  // namespace thalweg::ops

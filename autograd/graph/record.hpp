// The recording half of apply, shared by the two .cpp files that run ops. Internal: not for users.
// Depends on node, op_def.
#pragma once

#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg {

/// Bit i is set when input i wants a gradient and recording is on. Throws VersionError for a stale input.
std::uint64_t wants_gradient(const OpDef& op, const Tensor* in, int n, Loc loc);
/// What a node must save when the inputs in `wants` want gradients.
NeedMask saved_mask(const OpDef& op, int n, std::uint64_t wants);
/// Makes the node and hangs it on the outputs.
void record(const OpDef& op, const Tensor* in, int n, std::uint64_t wants, Tensor* out, int n_out,
            const void* attrs, Loc loc);
/// True when the body, and its memory, all of which is the tensor's, is held by this handle and nothing else.
inline bool held_alone(const Ref<TensorBody>& t) noexcept {
  const TensorBody& b = *t;
  return t.unique() && b.storage.unique() && !b.storage->deleter && b.contiguous &&
         b.storage->bytes == static_cast<std::size_t>(b.numel) * itemsize(b.dtype);
}
/// True when moreover no graph knows the tensor: it may be written over.
inline bool owned_alone(const Ref<TensorBody>& t) noexcept { return held_alone(t) && !t->node; }
inline bool owned_alone(const Tensor& t) noexcept { return owned_alone(t.ref()); }
void apply_pointwise(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out,
                     unsigned given_up);

/// Throws the error that is being handled, of making a result, as one of this op at this line.
[[noreturn, gnu::cold]] void throw_for_result(const OpDef& op, const Error& e, Loc loc);
/// A result of the op. Throws ShapeError (2^63 bytes or more), MemoryError.
inline Tensor make_result(const OpDef& op, const Dims& shape, DType dtype, Loc loc) {
  try {
    return empty(shape, dtype);
  } catch (const Error& e) {
    throw_for_result(op, e, loc);
  }
}

[[noreturn, gnu::cold]] void throw_undefined_input(const OpDef& op, int i, Loc loc);
[[noreturn, gnu::cold]] void throw_input_count(const OpDef& op, int n, Loc loc);
[[noreturn, gnu::cold]] void throw_stale_input(const OpDef& op, int i, const Tensor& t, Loc loc);

}  // namespace thalweg

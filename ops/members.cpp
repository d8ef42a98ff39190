// The members of Tensor that run ops on shapes, and the in-place ones; sum and mean stand with the
// reductions. Depends on the op library. Invariant: in-place arithmetic goes through apply_in_place, which
// refuses what would break a recorded gradient.
#include <cmath>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/library.hpp>

namespace thalweg {

Tensor Tensor::to(DType dtype, Loc loc) const { return cast({*this, loc}, dtype); }
Tensor Tensor::contiguous(Loc loc) const { return thalweg::contiguous({*this, loc}); }
Tensor Tensor::clone(Loc loc) const { return thalweg::clone({*this, loc}); }
Tensor Tensor::reshape(const Dims& shape, Loc loc) const { return thalweg::reshape({*this, loc}, shape); }
Tensor Tensor::transpose(int dim0, int dim1, Loc loc) const {
  return thalweg::transpose({*this, loc}, dim0, dim1);
}

Tensor Tensor::t(Loc loc) const {
  if (dim() != 2)
    throw_error<ShapeError>({.op = "t",
                             .arg = "the tensor",
                             .given = describe(),
                             .wanted = "a matrix; transpose() takes any",
                             .what = "not a matrix",
                             .loc = loc});
  return thalweg::transpose({*this, loc}, 0, 1);
}

namespace {

template <class Op>
void in_place(Tensor& self, const Tensor& b, Loc loc) {
  Tensor in[] = {self, b};
  apply_in_place(ops::op_def<Op>(), in, 2, nullptr, loc);
}

/// The number beside `self`, of its dtype. A fraction beside integers is as like() makes it, which in-place
/// ops refuse; a whole number that the integers cannot hold is a ValueError.
Tensor number(const char* op, double b, const Tensor& self, Loc loc) {
  if (is_floating(self.dtype()) || b != std::trunc(b)) return like(b, self);
  const bool in_i64 = b >= -0x1p63 && b < 0x1p63;
  const bool truth = self.dtype() == DType::boolean;
  const Tensor n = in_i64 ? like(static_cast<std::int64_t>(b), self) : Tensor();
  if (truth ? b == 0 || b == 1 : in_i64 && n.dtype() == self.dtype()) return scalar(b, self.dtype());
  throw_error<ValueError>({.op = op,
                           .arg = "the number",
                           .given = fmt::format("{}", b),
                           .wanted = std::string("what ") + name(self.dtype()) + " can hold",
                           .what = "an in-place op keeps the dtype",
                           .loc = thread_state.call_site ? thread_state.call_site : loc});
}

/// Throws where two elements of `self` are one number in memory: the last write would win.
void refuse_repeated(const char* op, const Tensor& self, Loc loc) {
  if (self.numel() == 0) return;
  for (int d = 0; d < self.dim(); ++d)
    if (self.shape()[d] > 1 && self.strides()[d] == 0)
      throw_error<ShapeError>(
          {.op = op,
           .arg = "the tensor written to",
           .given = self.describe() + ", repeated along dim " + std::to_string(d),
           .wanted = "one whose elements stand apart; clone() it first",
           .what = "elements share memory",
           .loc = loc});
}

/// copy_ and fill_ are not recorded: where a gradient would have to know of them, they are refused.
void refuse_recorded(const char* op, const Tensor& self, const Tensor* source, Loc loc) {
  if (!thread_state.grad_enabled || !(self.requires_grad() || (source && source->requires_grad()))) return;
  throw_error<GraphError>(
      {.op = op,
       .arg = self.requires_grad() ? "the tensor written to" : "the source",
       .given = self.requires_grad() ? self.describe() : source->describe(),
       .wanted = "a tensor without gradient; NoGrad, detach(), or an op that returns a new tensor",
       .what = "this write would not be recorded",
       .loc = loc});
}

}  // namespace

Tensor& Tensor::add_(const Tensor& b, Loc loc) { return in_place<ops::Add>(*this, b, loc), *this; }
Tensor& Tensor::sub_(const Tensor& b, Loc loc) { return in_place<ops::Sub>(*this, b, loc), *this; }
Tensor& Tensor::mul_(const Tensor& b, Loc loc) { return in_place<ops::Mul>(*this, b, loc), *this; }
Tensor& Tensor::div_(const Tensor& b, Loc loc) { return in_place<ops::Div>(*this, b, loc), *this; }
Tensor& Tensor::mul_(double b, Loc loc) {
  return in_place<ops::Mul>(*this, number("mul_", b, *this, loc), loc), *this;
}
Tensor& Tensor::add_(double b, Loc loc) {
  return in_place<ops::Add>(*this, number("add_", b, *this, loc), loc), *this;
}

Tensor& Tensor::copy_(const Tensor& source, Loc loc) {
  const ConstView views[] = {view(), source.view()};
  const Ins ins{"copy_", loc, 2, views, 3};
  if (!(broadcast_shapes(ins) == shape()))
    throw_error<ShapeError>({.op = "copy_",
                             .arg = "the source",
                             .given = source.describe(),
                             .wanted = describe(),
                             .what = "the source does not broadcast to the tensor",
                             .loc = loc});
  refuse_repeated("copy_", *this, loc);
  refuse_recorded("copy_", *this, &source, loc);
  Tensor from = source;
  if (source.get()->storage == body_->storage) {
    const NoGrad off;
    from = source.clone(loc);  // they may overlap
  }
  body_->storage->bump("copy_", loc);
  kernels::copy(broadcast_view(from.view(), shape()), mutable_view());
  return *this;
}

Tensor& Tensor::fill_(double value, Loc loc) {
  const View to = mutable_view();
  refuse_recorded("fill_", *this, nullptr, loc);
  body_->storage->bump("fill_", loc);
  kernels::fill(to, value);
  return *this;
}

}  // namespace thalweg

// Tensor's own members that need neither ops nor the graph. Depends on tensor, kernels/copy, fmt.
#include <thalweg/autograd/tensor/tensor.hpp>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg {

void Tensor::throw_undefined() {
  throw_error<ValueError>({.given = "an undefined tensor", .wanted = "a tensor that holds something",
                           .what = "undefined tensor", .loc = thread_state.call_site});
}

void Tensor::throw_dtype(DType wanted, const char* what, Loc loc) const {
  throw_error<DTypeError>({.op = what, .arg = "the tensor", .given = describe(), .wanted = name(wanted),
                           .what = "another element type was asked for", .loc = loc});
}

void Tensor::check_contiguous(const char* what, Loc loc) const {
  if (body().contiguous) return;
  throw_error<ShapeError>({.op = what, .arg = "the tensor", .given = describe() + " with strides " + to_string(strides()),
                           .wanted = "a contiguous tensor; call contiguous() first", .what = "not contiguous",
                           .loc = loc});
}

std::int64_t Tensor::size(int d, Loc loc) const {
  const int n = dim();
  const int i = d < 0 ? d + n : d;
  if (i < 0 || i >= n)
    throw_error<IndexError>({.op = "size", .arg = "dim", .given = std::to_string(d),
                             .wanted = fmt::format("{} to {} for {}", -n, n - 1, describe()),
                             .what = "dimension out of range", .loc = loc});
  return shape()[i];
}

namespace {

[[noreturn]] void throw_item(const Tensor& t, Loc loc) {
  throw_error<ShapeError>({.op = "item", .arg = "the tensor", .given = t.describe(), .wanted = "exactly one element",
                           .what = "not a single value", .loc = loc});
}

template <class To>
To read_one(const TensorBody& b) {
  To v{};
  Dims one;
  View dst{&v, dtype_of<To>, one, one};
  kernels::copy(ConstView(b.data, b.dtype, one, one), dst);
  return v;
}

}  // namespace

double Tensor::item_f64(Loc loc) const {
  if (numel() != 1) throw_item(*this, loc);
  return read_one<double>(*body_);
}

std::int64_t Tensor::item_i64(Loc loc) const {
  if (numel() != 1) throw_item(*this, loc);
  return read_one<std::int64_t>(*body_);
}

std::string Tensor::describe() const {
  return defined() ? thalweg::describe(dtype(), shape()) : std::string("undefined");
}

Tensor Tensor::detach() const { return alias(*this, 0, shape(), strides()); }

}  // namespace thalweg

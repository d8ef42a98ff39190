// Tensor: a counted handle on an n-dimensional strided array that may take part in a recorded graph.
// Depends on base, storage, body. Members that run ops or the engine are declared here and defined above this floor.
// Invariant: copying a handle never copies elements; writing goes through mutable_data() or an in-place op.
#pragma once

#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/loc.hpp>
#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/tensor/body.hpp>

namespace thalweg {

class Tensor;
struct Arg;
struct Scalar;

/// Options of Tensor::backward() and backward().
struct BackwardOptions {
  const Tensor* grad_output = nullptr;  ///< gradient of the output; needed unless the output has one element
  bool retain_graph = false;            ///< keep saved values so that the graph can be run again
};

/// Options of a reduction: which dims (none given: all) and whether they stay as size 1.
struct Over {
  Dims dims{};
  bool keepdim = false;
};

class Tensor {
 public:
  Tensor() noexcept = default;
  explicit Tensor(Ref<TensorBody> body) noexcept : body_(std::move(body)) {}

  /// False for a default-constructed handle, which holds nothing.
  bool defined() const noexcept { return static_cast<bool>(body_); }
  const Dims& shape() const { return body().shape; }
  /// Strides in elements.
  const Dims& strides() const { return body().strides; }
  DType dtype() const { return body().dtype; }
  int dim() const { return body().shape.size(); }
  std::int64_t numel() const { return body().numel; }
  /// Extent of dimension `d`, which may be negative (counted from the end). Throws IndexError.
  std::int64_t size(int d, Loc loc = Loc::here()) const;
  bool is_contiguous() const { return body().contiguous; }

  /// Pointer to the first element, for reading. Throws DTypeError when T is not the dtype.
  template <class T>
  const T* data(Loc loc = Loc::here()) const {
    check_dtype(dtype_of<T>, "data", loc);
    return static_cast<const T*>(body_->data);
  }
  /// The only door to writing: bumps the version, so that a backward pass that needs the old value throws.
  template <class T>
  T* mutable_data(Loc loc = Loc::here()) {
    check_dtype(dtype_of<T>, "mutable_data", loc);
    body_->storage->bump("mutable_data", loc);
    return static_cast<T*>(body_->data);
  }
  /// The elements of a contiguous tensor. Throws DTypeError, ShapeError (not contiguous).
  template <class T>
  std::span<const T> span(Loc loc = Loc::here()) const {
    check_dtype(dtype_of<T>, "span", loc);
    check_contiguous("span", loc);
    return {static_cast<const T*>(body_->data), static_cast<std::size_t>(body_->numel)};
  }
  /// The value of a one-element tensor, converted to T. Throws ShapeError for any other number of elements.
  template <class T = double>
  T item(Loc loc = Loc::here()) const {
    if constexpr (std::is_floating_point_v<T>) return static_cast<T>(item_f64(loc));
    else return static_cast<T>(item_i64(loc));
  }

  // --- gradients (defined in graph/ and engine/) ---
  bool requires_grad() const noexcept { return body_ && body_->node; }
  /// True for a tensor that no recorded op made.
  bool is_leaf() const noexcept { return !body_ || !body_->node || body_->node->is_leaf; }
  /// Makes this leaf want a gradient (or not). Throws GraphError on a recorded tensor, DTypeError on integers.
  Tensor& set_requires_grad(bool wanted = true, Loc loc = Loc::here());
  /// The gradient accumulated so far; undefined when there is none.
  Tensor grad() const;
  /// Replaces the accumulated gradient; an undefined tensor clears it.
  void set_grad(const Tensor& g, Loc loc = Loc::here());
  void zero_grad() { set_grad(Tensor()); }
  /// Keeps the gradient of a recorded tensor too, readable by grad() after backward().
  Tensor& retain_grad(Loc loc = Loc::here());
  /// Accumulates d(this)/d(leaf) into every leaf below. Throws GraphError, VersionError, ShapeError.
  void backward(BackwardOptions options = {}, Loc loc = Loc::here()) const;
  /// Calls `hook` with the gradient of this tensor when a backward pass knows it; a defined result replaces it.
  /// Returns an id for remove_hook(). The hook must not write to its argument. Hooks are set and removed while no
  /// other thread runs backward through this tensor.
  std::uint64_t register_hook(std::function<Tensor(const Tensor&)> hook, Loc loc = Loc::here());
  void remove_hook(std::uint64_t id);
  /// The same elements without history; shares memory.
  Tensor detach() const;

  // --- ops as members (defined in ops/) ---
  Tensor to(DType dtype, Loc loc = Loc::here()) const;
  Tensor contiguous(Loc loc = Loc::here()) const;
  Tensor clone(Loc loc = Loc::here()) const;
  Tensor reshape(const Dims& shape, Loc loc = Loc::here()) const;
  Tensor transpose(int dim0, int dim1, Loc loc = Loc::here()) const;
  /// Transpose of a matrix.
  Tensor t(Loc loc = Loc::here()) const;
  Tensor sum(Over over = {}, Loc loc = Loc::here()) const;
  Tensor mean(Over over = {}, Loc loc = Loc::here()) const;

  // --- in place: recorded where the derivative allows it, else GraphError ---
  Tensor& add_(const Tensor& b, Loc loc = Loc::here());
  Tensor& sub_(const Tensor& b, Loc loc = Loc::here());
  Tensor& mul_(const Tensor& b, Loc loc = Loc::here());
  Tensor& div_(const Tensor& b, Loc loc = Loc::here());
  Tensor& mul_(double b, Loc loc = Loc::here());
  Tensor& add_(double b, Loc loc = Loc::here());
  Tensor& copy_(const Tensor& source, Loc loc = Loc::here());
  Tensor& fill_(double value, Loc loc = Loc::here());
  Tensor& zero_(Loc loc = Loc::here()) { return fill_(0.0, loc); }

  // --- for the floors above ---
  const TensorBody& body() const {
    if (!body_) [[unlikely]] throw_undefined();
    return *body_;
  }
  TensorBody* get() const noexcept { return body_.get(); }
  const Ref<TensorBody>& ref() const noexcept { return body_; }
  Ref<TensorBody> take() noexcept { return std::move(body_); }
  ConstView view() const { return {body().data, body_->dtype, body_->shape, body_->strides}; }
  View mutable_view() const { return {body().data, body_->dtype, body_->shape, body_->strides}; }
  /// "f32[2,3]", or "undefined".
  std::string describe() const;

 private:
  [[noreturn]] static void throw_undefined();
  void check_dtype(DType wanted, const char* what, Loc loc) const {
    if (body().dtype != wanted) [[unlikely]] throw_dtype(wanted, what, loc);
  }
  [[noreturn]] void throw_dtype(DType wanted, const char* what, Loc loc) const;
  void check_contiguous(const char* what, Loc loc) const;
  double item_f64(Loc loc) const;
  std::int64_t item_i64(Loc loc) const;

  Ref<TensorBody> body_;
};

/// An argument of an op: a tensor and the user's line it was passed on. Never stored. One made of a temporary, or of what
/// was moved in, says that nobody looks at the tensor again; its copies do not. So a function may use its argument twice,
/// and one that hands it on for the last time moves it.
struct Arg {
  const Tensor& t;
  Loc loc;
  bool given_up = false;
  Arg(const Tensor& tensor, const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept  // NOLINT
      : t(tensor), loc{file, line} {}
  Arg(Tensor&& tensor, const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept  // NOLINT
      : t(tensor), loc{file, line}, given_up(true) {}
  Arg(const Tensor& tensor, Loc where) noexcept : t(tensor), loc(where) {}
  Arg(const Arg& a) noexcept : t(a.t), loc(a.loc) {}
  Arg(Arg&&) noexcept = default;
  operator const Tensor&() const noexcept { return t; }  // NOLINT
};

/// A C++ literal or number as an operand. It takes the tensor's dtype, so it never promotes a floating tensor.
struct Scalar {
  double d;
  std::int64_t i;
  bool integral;
  template <class T>
    requires std::is_arithmetic_v<T>
  constexpr Scalar(T v) noexcept  // NOLINT
      : d(static_cast<double>(v)), i(std::is_integral_v<T> ? static_cast<std::int64_t>(v) : 0),
        integral(std::is_integral_v<T>) {}
};

/// Prints as NumPy does: nested brackets, aligned columns, long arrays abbreviated with "...".
std::string to_string(const Tensor& t);
std::ostream& operator<<(std::ostream& out, const Tensor& t);

}  // namespace thalweg

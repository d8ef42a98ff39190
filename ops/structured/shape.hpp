// Ops on shapes: views, slices, joins and copies. Depends on op.hpp and sample.hpp; kernels in
// ops/kernels/copy.hpp. Invariant: a view op touches no element; all others write each element of their
// output once.
#pragma once

#include <thalweg/ops/functions/shape.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

using References = std::vector<Tensor>;

struct ShapeAttrs {
  Dims shape;
};

/// Only where strides allow it.
struct ViewAs {
  static constexpr Row row{.name = "view",
                           .formula = "y = the elements of x in another shape, the memory shared"};
  static constexpr bool linear = true;
  using Attrs = ShapeAttrs;
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// What reshape() is where strides do not allow a view: one pass over the elements.
struct ReshapeCopy {
  static constexpr Row row{.name = "reshape_copy",
                           .formula = "y = the elements of x in another shape, copied"};
  static constexpr bool linear = true;
  using Attrs = ShapeAttrs;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Reshape {
  static constexpr Row row{.name = "reshape", .formula = "y = the elements of x in another shape"};
  static constexpr bool linear = true;
  using Attrs = ShapeAttrs;
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Flatten {
  static constexpr Row row{.name = "flatten", .formula = "y = x with dimensions start to end made one"};
  static constexpr bool linear = true;
  struct Attrs {
    std::int64_t start = 0;
    std::int64_t end = -1;
  };
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Transpose {
  static constexpr Row row{.name = "transpose", .formula = "y[..,j,..,i,..] = x[..,i,..,j,..]"};
  static constexpr bool linear = true;
  struct Attrs {
    std::int64_t dim0 = 0;
    std::int64_t dim1 = 1;
  };
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Permute {
  static constexpr Row row{.name = "permute", .formula = "dimension i of y is dimension order[i] of x"};
  static constexpr bool linear = true;
  struct Attrs {
    Dims order;
  };
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Expand {
  static constexpr Row row{.name = "expand", .formula = "y = x with size-1 dimensions repeated up to shape"};
  static constexpr bool linear = true;
  using Attrs = ShapeAttrs;
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Squeeze {
  static constexpr Row row{.name = "squeeze",
                           .formula = "y = x without the size-1 dimensions dims (none named: all)"};
  static constexpr bool linear = true;
  struct Attrs {
    Dims dims;
  };
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Unsqueeze {
  static constexpr Row row{.name = "unsqueeze", .formula = "y = x with a size-1 dimension inserted at dim"};
  static constexpr bool linear = true;
  struct Attrs {
    std::int64_t dim = 0;
  };
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Slice {
  static constexpr Row row{.name = "slice", .formula = "y[..,i,..] = x[..,start + i step,..]"};
  static constexpr bool linear = true;
  struct Attrs {
    std::int64_t dim = 0;
    std::int64_t start = 0;
    std::int64_t end = to_end;
    std::int64_t step = 1;
  };
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// The adjoint of Slice.
struct SliceBackward {
  static constexpr Row row{.name = "slice_backward",
                           .formula = "y[..,start + i step,..] = g[..,i,..], else 0"};
  static constexpr bool linear = true;
  struct Attrs {
    std::int64_t size = 0;  ///< of the dimension that was sliced
    Slice::Attrs slice;
  };
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Select {
  static constexpr Row row{.name = "select", .formula = "y[..,..] = x[..,index,..]"};
  static constexpr bool linear = true;
  struct Attrs {
    std::int64_t dim = 0;
    std::int64_t index = 0;
  };
  static ViewSpec view(const Ins& in, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Flip {
  static constexpr Row row{.name = "flip", .formula = "y[..,i,..] = x[..,n - 1 - i,..] along dims"};
  static constexpr bool linear = true;
  struct Attrs {
    Dims dims;
  };
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Pad {
  static constexpr Row row{.name = "pad", .formula = "y = x inside a border of value"};
  struct Attrs {
    Dims before;
    Dims after;
    double value = 0;
  };
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Clone {
  static constexpr Row row{.name = "clone", .formula = "y = x in memory of its own, row by row"};
  static constexpr bool linear = true;
  static void infer(const Ins& in, const NoAttrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const NoAttrs& t);
  static void vjp(Vjp& v, const NoAttrs& t);
  static References reference(const std::vector<Tensor>& in, const NoAttrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Cast {
  static constexpr Row row{.name = "cast", .formula = "y = x converted to dtype", .sets_dtype = true};
  static constexpr bool linear = true;
  struct Attrs {
    DType dtype = DType::f64;
  };
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Cat {
  static constexpr Row row{.name = "cat", .formula = "y = the inputs one after the other along dim"};
  static constexpr bool linear = true;
  static constexpr int n_in = -1;
  struct Attrs {
    std::int64_t dim = 0;
    /// Of each input along dim, for the backward pass; may be left out where every input or none wants a
    /// gradient.
    std::vector<std::int64_t> sizes;
    static Attrs of(std::int64_t dim, std::span<const Tensor> in);  ///< with sizes where they are needed
  };
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Stack {
  static constexpr Row row{.name = "stack", .formula = "y = the inputs one after the other along a new dim"};
  static constexpr bool linear = true;
  static constexpr int n_in = -1;
  struct Attrs {
    std::int64_t dim = 0;
  };
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static References reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using ShapeOps = List<ViewAs, ReshapeCopy, Reshape, Flatten, Transpose, Permute, Expand, Squeeze, Unsqueeze,
                      Slice, SliceBackward, Select, Flip, Pad, Clone, Cast, Cat, Stack>;

// ---- shared by the files of this family ----

/// `wanted` (one size may be -1) as a shape of x's elements. Throws ShapeError naming ins.op.
Dims resolve_shape(const Ins& in, const Dims& wanted);
/// Strides that show elements laid out as (shape, strides) as `wanted`; false where no strides do.
bool view_strides(const Dims& shape, const Dims& strides, const Dims& wanted, Dims& result) noexcept;
/// The dimensions of `wide` along which a tensor of shape `narrow` is repeated by NumPy's rule.
Dims repeated_dims(const Dims& narrow, const Dims& wide) noexcept;
/// First position and number of the elements of a slice of a dimension of `size`.
struct SliceRange {
  std::int64_t start, count;
};
SliceRange slice_range(std::int64_t size, const Slice::Attrs& t) noexcept;
/// f64 elements of x in order, as `shape`.
Tensor in_shape(const Tensor& x, const Dims& shape);

}  // namespace thalweg::ops

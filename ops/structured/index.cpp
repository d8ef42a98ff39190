// gather, scatter_add, index_select, index_add, one_hot: checks, kernels, derivatives. Depends on
// kernels/index, functions. Invariant: the two that read and the two that add are each other's adjoints, so
// every derivative is one of them.
#include <thalweg/ops/structured/index.hpp>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/index.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg {

namespace ops {
namespace {

void require_index(const Ins& in, int i) {
  require_present(in, i, "index");
  if (in[i].dtype != DType::i64 && in[i].dtype != DType::i32)
    in.fail<DTypeError>("index", describe(in[i]), "i64 or i32", "not an index");
}

int resolved_dim(std::int64_t d, int rank) { return static_cast<int>(d < 0 ? d + rank : d); }

/// Index i of the inputs, checked to fit x for gather and scatter; returns the dimension.
int check_elementwise(const Ins& in, std::int64_t dim) {
  require_present(in, 0, "x");
  require_index(in, 1);
  const int rank = in[0].shape.size();
  const int d = resolve_dim(in, dim, rank);
  bool fits = in[1].shape.size() == rank;
  for (int k = 0; fits && k < rank; ++k) fits = k == d || in[1].shape[k] <= in[0].shape[k];
  if (!fits)
    in.fail<ShapeError>(
        "index", describe(in[1]),
        fmt::format("the rank of x, {}, and no size above its but along dimension {}", describe(in[0]), d),
        "index does not fit");
  return d;
}

/// The same for whole slices: the index is a vector.
int check_slices(const Ins& in, std::int64_t dim) {
  require_present(in, 0, "x");
  require_index(in, 1);
  const int d = resolve_dim(in, dim, in[0].shape.size());
  if (in[1].shape.size() != 1)
    in.fail<ShapeError>("index", describe(in[1]), "a vector", "index does not fit");
  return d;
}

void check_source(const Ins& in, const Dims& wanted) {
  require_present(in, 2, "source");
  if (in[2].dtype != in[0].dtype)
    in.fail<DTypeError>("source", describe(in[2]), name(in[0].dtype),
                        "x and source of different dtypes; use to()");
  if (!(in[2].shape == wanted))
    in.fail<ShapeError>("source", describe(in[2]), describe(in[0].dtype, wanted),
                        "source does not fit x and index");
  if (in[0].dtype == DType::boolean)
    in.fail<DTypeError>("x", describe(in[0]), "a number dtype", "bool has no sum");
}

std::int64_t entry(const ConstView& index, std::int64_t position) {
  std::int64_t offset = 0;
  for (int d = index.shape.size() - 1; d >= 0; --d) {
    offset += position % index.shape[d] * index.strides[d];
    position /= index.shape[d];
  }
  return index.dtype == DType::i64 ? index.as<std::int64_t>()[offset] : index.as<std::int32_t>()[offset];
}

void check_range(const Ins& in, int i, std::int64_t size) {
  const std::int64_t position = kernels::first_out_of_range(in[i], size);
  if (position < 0) return;
  in.fail<IndexError>(
      "index", fmt::format("{} (element {})", entry(in[i], position), position),
      size == 0 ? std::string("no entry: nothing to point at") : fmt::format("0 to {}", size - 1),
      "index out of range");
}

void check_range_along(const Ins& in, std::int64_t dim) {
  check_range(in, 1, in[0].shape[resolved_dim(dim, in[0].shape.size())]);
}

/// Zeros to add into: one number repeated, so that the copy that the op makes is a fill.
Tensor zero_of(const Meta& meta) { return expand(scalar(0, meta.dtype), meta.shape); }

}  // namespace

// ---- gather, scatter_add ----

void Gather::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_elementwise(in, t.dim);
  out.add(in[0].dtype, in[1].shape);
}
void Gather::run(const Ins& in, const View* out, const Attrs& t) {
  const bool good = kernels::gather(in[0], resolved_dim(t.dim, in[0].shape.size()), in[1], out[0]);
  if (!good) check_range_along(in, t.dim);  // to say which index it is
}
void Gather::vjp(Vjp& v, const Attrs& t) {
  v.set(0, scatter_add(zero_of(v.in_meta(0)), static_cast<int>(t.dim), v.in(1), v.g()));
}

void ScatterAdd::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_elementwise(in, t.dim);
  check_source(in, in[1].shape);
  out.add(in[0].dtype, in[0].shape);
}
void ScatterAdd::run(const Ins& in, const View* out, const Attrs& t) {
  const bool good = kernels::scatter_add(in[0], out[0], resolved_dim(t.dim, in[0].shape.size()), in[1], in[2]);
  if (!good) check_range_along(in, t.dim);
}
void ScatterAdd::vjp(Vjp& v, const Attrs& t) {
  if (v.needs(0)) v.set(0, v.g());
  if (v.needs(2)) v.set(2, gather(v.g(), static_cast<int>(t.dim), v.in(1)));
}

// ---- index_select, index_add ----

void IndexSelect::infer(const Ins& in, const Attrs& t, Outs& out) {
  const int d = check_slices(in, t.dim);
  Dims shape = in[0].shape;
  shape[d] = in[1].shape[0];
  out.add(in[0].dtype, shape);
}
void IndexSelect::run(const Ins& in, const View* out, const Attrs& t) {
  const bool good = kernels::index_select(in[0], resolved_dim(t.dim, in[0].shape.size()), in[1], out[0]);
  if (!good) check_range_along(in, t.dim);
}
void IndexSelect::vjp(Vjp& v, const Attrs& t) {
  v.set(0, index_add(zero_of(v.in_meta(0)), static_cast<int>(t.dim), v.in(1), v.g()));
}

void IndexAdd::infer(const Ins& in, const Attrs& t, Outs& out) {
  const int d = check_slices(in, t.dim);
  Dims source = in[0].shape;
  source[d] = in[1].shape[0];
  check_source(in, source);
  out.add(in[0].dtype, in[0].shape);
}
void IndexAdd::check(const Ins& in, const Attrs& t) { check_range_along(in, t.dim); }
void IndexAdd::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::index_add(in[0], out[0], resolved_dim(t.dim, in[0].shape.size()), in[1], in[2]);
}
void IndexAdd::vjp(Vjp& v, const Attrs& t) {
  if (v.needs(0)) v.set(0, v.g());
  if (v.needs(2)) v.set(2, index_select(v.g(), static_cast<int>(t.dim), v.in(1)));
}

// ---- one_hot ----

void OneHot::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_index(in, 0);
  if (t.classes < 0)
    in.fail<ValueError>("classes", fmt::format("{}", t.classes), "0 or more", "negative count");
  if (in[0].shape.size() == max_dims)
    in.fail<ShapeError>("index", describe(in[0]), fmt::format("at most {} dimensions", max_dims - 1),
                        "no room for a dimension");
  Dims shape = in[0].shape;
  shape.push_back(t.classes);
  std::int64_t bytes = static_cast<std::int64_t>(itemsize(t.dtype));
  for (std::int64_t n : shape)
    if (n != 0 && __builtin_mul_overflow(bytes, n, &bytes))
      in.fail<ShapeError>("classes", fmt::format("{}", t.classes), "fewer than 2^63 bytes", "size overflows");
  out.add(t.dtype, shape);
}
void OneHot::check(const Ins& in, const Attrs& t) { check_range(in, 0, t.classes); }
void OneHot::run(const Ins& in, const View* out, const Attrs&) {
  kernels::one_hot(in[0], out[0], in[0].shape.size());
}

}  // namespace ops

Tensor gather(Arg x, int dim, Arg index) { return apply<ops::Gather>({dim}, x, index); }
Tensor scatter_add(Arg x, int dim, Arg index, Arg source) {
  return apply<ops::ScatterAdd>({dim}, x, index, source);
}
Tensor index_select(Arg x, int dim, Arg index) { return apply<ops::IndexSelect>({dim}, x, index); }
Tensor index_add(Arg x, int dim, Arg index, Arg source) {
  return apply<ops::IndexAdd>({dim}, x, index, source);
}
Tensor one_hot(Arg index, std::int64_t classes, DType dtype) {
  return apply<ops::OneHot>({classes, dtype}, index);
}

void describe_index(std::vector<OpInfo>& to) { describe_all(ops::IndexOps{}, to); }

}  // namespace thalweg

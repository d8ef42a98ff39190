// max, min and their positions: inference, kernels, derivatives, references, samples. Depends on
// functions.hpp, kernels/reduce, kernels/index. Invariant: a gradient is selected by comparison or put at its
// position, never multiplied with a mask.
#include <cmath>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/index.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/ops/structured/reduce.hpp>
#include <thalweg/ops/structured/reduce_support.hpp>

namespace thalweg::ops {
namespace {

using kernels::ReduceKind;

Over same(Over t) { return t; }

void require_some(const Ins& in, const Dims& dims) {
  if (reduced_count(in[0].shape, dims) == 0)
    in.fail<ValueError>("x", describe(in[0]), "one element or more in dims " + to_string(dims),
                        "nothing to choose from");
}

/// Whether `x` replaces `best`: NaN beats all, the first of equals stays.
template <bool Largest>
bool beats(double x, double best) {
  if (std::isnan(best)) return false;
  return std::isnan(x) || (Largest ? x > best : x < best);
}

/// Position along the reduced dims (row-major) and value of the extreme of each result, kept dims as size 1.
template <bool Largest>
struct Search {
  Tensor value, position;
  Search(const Tensor& x, const Dims& dims) {
    const Dims shape = reduced_shape(x.shape(), dims, true);
    value = zeros(shape, DType::f64);
    position = full(shape, -1, DType::f64);
    for_each_index(x.shape(), [&](const Dims& index) {
      Dims to = index;
      std::int64_t at = 0;
      for (std::int64_t d : dims) {
        at = at * x.shape()[static_cast<int>(d)] + index[static_cast<int>(d)];
        to[static_cast<int>(d)] = 0;
      }
      const double v = value_at(x, index);
      if (value_at(position, to) >= 0 && !beats<Largest>(v, value_at(value, to))) return;
      set_value(value, to, v);
      set_value(position, to, static_cast<double>(at));
    });
  }
};

/// A view of a reduced result with the reduced dim back as size 1.
View with_dim(const View& v, int dim, bool keepdim) {
  View r = v;
  if (keepdim) return r;
  r.shape.insert(dim, 1);
  r.strides.insert(dim, 1);
  return r;
}

int dim_of(std::int64_t dim, int rank) { return static_cast<int>(dim < 0 ? dim + rank : dim); }

}  // namespace

// ---- max and min over dims ----

template <bool Largest>
void Extreme<Largest>::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  const Dims dims = resolve_dims(in, t.dims, in[0].shape.size());
  require_some(in, dims);
  out.add(in[0].dtype, reduced_shape(in[0].shape, dims, t.keepdim));
}

template <bool Largest>
void Extreme<Largest>::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::reduce(Largest ? ReduceKind::max : ReduceKind::min, in[0], out[0],
                  resolved(t.dims, in[0].shape.size()));
}

template <bool Largest>
void Extreme<Largest>::vjp(Vjp& v, const Attrs& t) {
  const Tensor x = v.in(0), y = restore_dims(v.out(), x.shape(), t);
  const Tensor chosen = logical_or(equal(x, y), isnan(x));
  const Tensor ties = sum(chosen, {.dims = resolved(t.dims, x.dim()), .keepdim = true});
  v.set(0, where(chosen, restore_dims(v.g(), x.shape(), t) / ties, 0.0));
}

template <bool Largest>
std::vector<Tensor> Extreme<Largest>::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Dims dims = resolved(t.dims, in[0].dim());
  return {Search<Largest>(in[0], dims).value.reshape(reduced_shape(in[0].shape(), dims, t.keepdim))};
}

template <bool Largest>
void Extreme<Largest>::samples(SampleList& s) {
  reduction_samples(s, &SampleList::distinct, &same, false);
  const double far = Largest ? -7 : 7;
  s.add_kink({from<double>({1, 1, far, far, 1, 1}, {2, 3})}, Attrs{},
             {from<double>({.25, .25, 0, 0, .25, .25}, {2, 3})}, "ties");
  s.add_kink({from<double>({1, 1, far, far, far, 2}, {2, 3})}, Attrs{.dims = {1}},
             {from<double>({.5, .5, 0, 0, 0, 1}, {2, 3})}, "ties in rows");
  s.add_kink({from<double>({1, std::nan(""), 3}, {3})}, Attrs{}, {from<double>({0, 1, 0}, {3})}, "NaN");
  Tensor late = zeros({2100}, DType::f64);
  late.mutable_data<double>()[2099] = Largest ? 1 : -1;
  s.add({late}, Attrs{}, "the extreme in the last block");
}

template <bool Largest>
void Extreme<Largest>::errors(ErrorList& e) {
  reduction_errors(e, row.name, &same);
  e.add<ValueError>({zeros({0, 3})}, Attrs{.dims = {0}},
                    std::string(row.name) +
                        ": nothing to choose from: x is f32[0,3], wanted one element or more in dims [0]",
                    "ValueError");
  e.add<ValueError>({zeros({2, 0})}, "nothing to choose from", "ValueError");
}

// ---- with positions ----

template <bool Largest>
void ExtremeWithIndex<Largest>::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  const int dim = resolve_dim(in, t.dim, in[0].shape.size());
  require_some(in, {dim});
  const Dims shape = reduced_shape(in[0].shape, {dim}, t.keepdim);
  out.add(in[0].dtype, shape);
  out.add(DType::i64, shape);
}

template <bool Largest>
void ExtremeWithIndex<Largest>::run(const Ins& in, const View* out, const Attrs& t) {
  const int dim = dim_of(t.dim, in[0].shape.size());
  kernels::reduce(Largest ? ReduceKind::argmax : ReduceKind::argmin, in[0], out[1], {dim});
  kernels::gather(in[0], dim, with_dim(out[1], dim, t.keepdim), with_dim(out[0], dim, t.keepdim));
}

template <bool Largest>
void ExtremeWithIndex<Largest>::vjp(Vjp& v, const Attrs& t) {
  const Dims& shape = v.in_meta(0).shape;
  const int dim = dim_of(t.dim, shape.size());
  Tensor index = v.out(1), g = v.g();
  if (!t.keepdim) {
    index = unsqueeze(index, dim);
    g = unsqueeze(g, dim);
  }
  // Zeros as one number repeated: they are written once, with the few gradients put in place after.
  v.set(0, scatter_add(expand(scalar(0, g.dtype()), shape), dim, index, g));
}

template <bool Largest>
std::vector<Tensor> ExtremeWithIndex<Largest>::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Dims dims{dim_of(t.dim, in[0].dim())};
  const Search<Largest> found(in[0], dims);
  const Dims shape = reduced_shape(in[0].shape(), dims, t.keepdim);
  return {found.value.reshape(shape), found.position.reshape(shape)};
}

template <bool Largest>
void ExtremeWithIndex<Largest>::samples(SampleList& s) {
  s.add({s.distinct({3, 4})}, Attrs{});
  s.add({s.distinct({3, 4})}, Attrs{.dim = 0, .keepdim = true}, "keepdim");
  s.add({s.distinct({2, 3, 4})}, Attrs{.dim = -2}, "middle");
  s.add({s.distinct({5})}, Attrs{}, "vector");
  s.add({s.distinct({0, 3})}, Attrs{}, "empty");
  const double far = Largest ? -7 : 7;
  s.add_kink({from<double>({far, 1, 1, 2, 2, far}, {2, 3})}, Attrs{},
             {from<double>({0, 1, 0, 1, 0, 0}, {2, 3})}, "ties");
}

template <bool Largest>
void ExtremeWithIndex<Largest>::errors(ErrorList& e) {
  e.add<IndexError>({zeros({2, 3})}, Attrs{.dim = 2},
                    std::string(row.name) + ": dimension out of range: dim is 2, wanted -2 to 1",
                    "IndexError");
  e.add<IndexError>({zeros({2, 3})}, Attrs{.dim = INT64_MIN}, "out of range", "IndexError");
  e.add<IndexError>({zeros({})}, Attrs{}, "0-d", "IndexError");
  e.add<ValueError>({zeros({2, 0})}, Attrs{}, "nothing to choose from: x is f32[2,0]", "ValueError");
  e.add<ValueError>({Tensor()}, Attrs{}, "undefined tensor", "ValueError");
}

// ---- positions ----

template <bool Largest>
void ExtremeIndex<Largest>::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  if (t.dim.size() > 1)
    in.fail<ValueError>("dim", to_string(t.dim), "one dimension, or none for all", "too many dimensions");
  const Dims dims = resolve_dims(in, t.dim, in[0].shape.size());
  require_some(in, dims);
  out.add(DType::i64, reduced_shape(in[0].shape, dims, t.keepdim));
}

template <bool Largest>
void ExtremeIndex<Largest>::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::reduce(Largest ? ReduceKind::argmax : ReduceKind::argmin, in[0], out[0],
                  resolved(t.dim, in[0].shape.size()));
}

template <bool Largest>
std::vector<Tensor> ExtremeIndex<Largest>::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Dims dims = resolved(t.dim, in[0].dim());
  return {Search<Largest>(in[0], dims).position.reshape(reduced_shape(in[0].shape(), dims, t.keepdim))};
}

template <bool Largest>
void ExtremeIndex<Largest>::samples(SampleList& s) {
  s.add({s.distinct({3, 4})}, Attrs{});
  s.add({s.distinct({3, 4})}, Attrs{.dim = {0}}, "columns");
  s.add({s.distinct({2, 3, 4})}, Attrs{.dim = {-2}, .keepdim = true}, "keepdim");
  s.add({s.distinct({})}, Attrs{}, "0-d");
  s.add({s.distinct({3, 0})}, Attrs{.dim = {0}}, "empty result");
  s.add({from<double>({1, 2, 2, 1}, {4})}, Attrs{}, "ties");
}

template <bool Largest>
void ExtremeIndex<Largest>::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{.dim = {2}}, std::string(row.name) + ": dimension out of range", "IndexError");
  e.add<IndexError>({x}, Attrs{.dim = {INT64_MIN}}, "out of range", "IndexError");
  e.add<ValueError>({x}, Attrs{.dim = {0, 1}}, "dim is [0,1], wanted one dimension", "ValueError");
  e.add<ValueError>({zeros({2, 0})}, "nothing to choose from: x is f32[2,0]", "ValueError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

template struct Extreme<true>;
template struct Extreme<false>;
template struct ExtremeWithIndex<true>;
template struct ExtremeWithIndex<false>;
template struct ExtremeIndex<true>;
template struct ExtremeIndex<false>;

}  // namespace thalweg::ops

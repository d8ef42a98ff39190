// The members of Decay. Everything a user can get wrong is refused in infer, before any memory is taken.
#include "decay.hpp"

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace tw = thalweg;

namespace {

/// One row after the other; `step` and `skip` are the strides of the last dimension in source and result.
template <class T>
void decay_row(const T* x, std::int64_t step, T* y, std::int64_t skip, std::int64_t n, T keep) {
  T last = 0;
  for (std::int64_t t = 0; t < n; ++t) {
    last = keep * last + (1 - keep) * x[t * step];
    y[t * skip] = last;
  }
}

/// Offset of the first element of row `r`, rows counted over all dimensions but the last.
std::int64_t row_start(std::int64_t r, const tw::Dims& shape, const tw::Dims& strides) {
  std::int64_t at = 0;
  for (int d = shape.size() - 2; d >= 0; --d) {
    at += r % shape[d] * strides[d];
    r /= shape[d];
  }
  return at;
}

template <class T>
void decay_all(const tw::ConstView& x, const tw::View& y, double keep) {
  const std::int64_t n = x.shape.back(), rows = n == 0 ? 0 : tw::numel(x.shape) / n;
  const std::int64_t grain =
      1 + 4096 / (n + 1);  // chunks depend on the shape alone, so the bits do not depend on threads
  tw::par::chunks(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      decay_row(static_cast<const T*>(x.data) + row_start(r, x.shape, x.strides), x.strides.back(),
                static_cast<T*>(y.data) + row_start(r, y.shape, y.strides), y.strides.back(), n,
                static_cast<T>(keep));
  });
}

}  // namespace

void Decay::infer(const tw::Ins& in, const Attrs& t, tw::Outs& out) {
  if (!in.has(0)) in.fail<tw::ValueError>("x", "undefined", "a tensor", "undefined tensor");
  if (!tw::is_floating(in[0].dtype))
    in.fail<tw::DTypeError>("x", tw::describe(in[0]), "f32 or f64", "not a floating dtype");
  if (in[0].shape.empty())
    in.fail<tw::ShapeError>("x", tw::describe(in[0]), "1 dimension or more", "nothing to run along");
  if (!(t.keep >= 0 && t.keep < 1))
    in.fail<tw::ValueError>("keep", std::to_string(t.keep), "0 <= keep < 1", "keep is out of range");
  out.add(in[0].dtype, in[0].shape);
}

void Decay::run(const tw::Ins& in, const tw::View* out, const Attrs& t) {
  if (in[0].dtype == tw::DType::f32)
    decay_all<float>(in[0], out[0], t.keep);
  else
    decay_all<double>(in[0], out[0], t.keep);
}

void Decay::vjp(tw::Vjp& v, const Attrs& t) {
  // The transpose of a recurrence is the same recurrence from the other end.
  v.set(0, tw::flip(tw::apply<Decay>(t, tw::flip(v.g(), {-1})), {-1}));
}

std::vector<tw::Tensor> Decay::reference(const std::vector<tw::Tensor>& in, const Attrs& t) {
  tw::Tensor y = tw::zeros(in[0].shape(), tw::DType::f64);
  tw::for_each_index(in[0].shape(), [&](const tw::Dims& index) {  // every pair of times, summed up
    double total = 0, weight = 1 - t.keep;
    tw::Dims from = index;
    for (std::int64_t s = index.back(); s >= 0; --s, weight *= t.keep) {
      from.back() = s;
      total += weight * tw::value_at(in[0], from);
    }
    tw::set_value(y, index, total);
  });
  return {y};
}

void Decay::samples(tw::SampleList& s) {
  s.add({s.normal({6})});
  s.add({s.normal({2, 3, 4})}, Attrs{.keep = 0.5}, "rows");
  s.add({s.normal({3, 2})}, Attrs{.keep = 0}, "keeps nothing");
  s.add({s.normal({2, 0})}, Attrs{}, "empty");
}

void Decay::errors(tw::ErrorList& e) {
  e.add<tw::ShapeError>({tw::zeros({})}, Attrs{}, "decay: nothing to run along", "ShapeError");
  e.add<tw::DTypeError>({tw::zeros({3}, tw::DType::i64)}, Attrs{}, "decay: not a floating dtype",
                        "DTypeError");
  e.add<tw::ValueError>({tw::zeros({3})}, Attrs{.keep = 1}, "decay: keep is out of range", "ValueError");
}

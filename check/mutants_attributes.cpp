// Wrong attributes that an op's author might well write: the next dimension, the other direction, the next
// element. Depends on mutants_hook.hpp, mutants_ways.hpp and the structured ops. Invariant: one line of the
// table per way.
#include <thalweg/check/mutants_hook.hpp>
#include <thalweg/check/mutants_ways.hpp>
#include <thalweg/ops/structured/embedding.hpp>
#include <thalweg/ops/structured/index.hpp>
#include <thalweg/ops/structured/loss.hpp>
#include <thalweg/ops/structured/random.hpp>
#include <thalweg/ops/structured/reduce.hpp>
#include <thalweg/ops/structured/scan.hpp>
#include <thalweg/ops/structured/shape.hpp>
#include <thalweg/ops/structured/softmax.hpp>

namespace thalweg::check {
namespace {

bool next(std::int64_t& dim, int rank) {
  if (rank < 2) return false;
  dim = ((dim % rank + rank) % rank + 1) % rank;
  return true;
}

bool next_each(Dims& dims, int rank) {
  if (dims.empty()) return false;
  for (std::int64_t& d : dims)
    if (!next(d, rank)) return false;
  return true;
}

/// The rank of the first input; 0 where it is not known.
int rank(const Tensor* in) { return in[0].defined() ? in[0].dim() : 0; }

template <class... Op>
void dim_ways(Ways& to) {
  (to.add<Op>("dim", [](auto& t, const Tensor* in, int) { return next(t.dim, rank(in)); }), ...);
}

template <class... Op>
void dims_ways(Ways& to) {
  (to.add<Op>("dims", [](auto& t, const Tensor* in, int) { return next_each(t.dims, rank(in)); }), ...);
}

template <class... Op>
void reverse_ways(Ways& to) {
  (to.add<Op>("reverse", [](auto& t) { t.reverse = !t.reverse; }), ...);
}

template <class Op, class Options>
void loss_ways(Ways& to, Options options) {
  to.add<Op>("reduction", [options](auto& t, const Tensor*, int) {
    Reduction& r = options(t).reduction;
    if (r == Reduction::none) return false;
    r = r == Reduction::mean ? Reduction::sum : Reduction::mean;
    return true;
  });
  to.add<Op>("ignore_index", [options](auto& t) {
    std::int64_t& ignored = options(t).ignore_index;
    ignored = ignored == 1 ? 2 : 1;
  });
  to.add<Op>("label_smoothing", [options](auto& t, const Tensor*, int) {
    if constexpr (requires { options(t).label_smoothing; }) {
      double& smoothing = options(t).label_smoothing;
      smoothing = smoothing > 0 ? 0 : 0.1;
      return true;
    }
    return false;
  });
}

bool later(ops::Slice::Attrs& t, std::int64_t by) {
  t.start += by;
  if (t.end != to_end) t.end += by;
  return true;
}

template <class... Op>
void random_ways(Ways& to) {
  (to.add<Op>("key", [](auto& t) { ++t.key.offset; }), ...);
  (to.add<Op>("p", [](auto& t) { t.p = t.p > 0.5 ? t.p - 0.1 : t.p + 0.1; }), ...);
}

/// Its own inverse instead, or the other way round.
void invert(Dims& order) {
  Dims inverse = order;
  for (int i = 0; i < order.size(); ++i) {
    if (order[i] < 0) order[i] += order.size();
    inverse[static_cast<int>(order[i])] = i;
  }
  order = inverse;
}

void shape_ways(Ways& to) {
  using namespace ops;
  to.add<Transpose>("dim1",
                    [](auto& t, const Tensor* in, int) { return rank(in) > 2 && next(t.dim1, rank(in)); });
  to.add<Transpose>("dim1 = dim0", [](auto& t) { t.dim1 = t.dim0; });
  to.add<Permute>("order", [](auto& t, const Tensor* in, int) { return next_each(t.order, rank(in)); });
  to.add<Permute>("inverse", [](auto& t) { invert(t.order); });
  to.add<Slice>("later", [](auto& t) { later(t, 1); });
  to.add<Slice>("earlier", [](auto& t) { later(t, -1); });
  to.add<SliceBackward>("later", [](auto& t) { later(t.slice, 1); });
  to.add<SliceBackward>("earlier", [](auto& t) { later(t.slice, -1); });
  to.add<SliceBackward>("dim", [](auto& t, const Tensor* in, int) { return next(t.slice.dim, rank(in)); });
  to.add<Select>("index", [](auto& t, const Tensor* in, int) {
    if (rank(in) == 0) return false;
    const int d = static_cast<int>(t.dim < 0 ? t.dim + rank(in) : t.dim);
    t.index = (t.index + 1) % in[0].shape()[d];
    return true;
  });
  dims_ways<Squeeze, Flip>(to);
  dim_ways<Slice, Select, Unsqueeze, Cat>(to);
  to.add<Pad>("other side", [](auto& t) { std::swap(t.before, t.after); });
}

Ways make_ways() {
  using namespace ops;
  const auto next_dim = [](auto& t, const Tensor* in, int) { return next_each(t.dim, rank(in)); };
  Ways to;
  shape_ways(to);
  geometry_ways(to);
  dims_ways<Sum, Mean, Prod, Max, Min>(to);
  dim_ways<Gather, ScatterAdd, IndexSelect, IndexAdd>(to);
  dim_ways<Softmax, SoftmaxBackward, LogSoftmax, LogSoftmaxBackward>(to);
  dim_ways<CumSum, CumProd, Recurrence, ProdOthers, LogSumExp, MaxWithIndex, MinWithIndex, Stack>(to);
  (to.add<Argmax>("dim", next_dim), to.add<Argmin>("dim", next_dim));
  reverse_ways<CumSum, CumProd, Recurrence>(to);
  to.add<Recurrence>("lagged", [](auto& t) { t.lagged = !t.lagged; });
  constexpr auto plain = [](auto& t) -> auto& { return t; };
  loss_ways<CrossEntropy>(to, plain), loss_ways<CrossEntropyBackward>(to, plain);
  loss_ways<SoftCrossEntropy>(to, plain);
  loss_ways<SoftCrossEntropyBackward>(to, plain), loss_ways<WeightedSoftCrossEntropy>(to, plain);
  loss_ways<NllLoss>(to, plain);
  loss_ways<NllLossBackward>(to, [](auto& t) -> auto& { return t.options; });
  random_ways<Dropout, DropoutChannels, AlphaDropout>(to);
  to.add<Embedding>("padding_idx", [](auto& t) {
    if (t.padding_idx) t.padding_idx.reset();
    else t.padding_idx = 0;
  });
  dims_ways<Var, StdDev, Norm>(to);
  to.add<Var>("correction", [](auto& t) { t.correction = 1 - t.correction; });
  to.add<StdDev>("correction", [](auto& t) { t.correction = 1 - t.correction; });
  to.add<Norm>("p", [](auto& t) { t.p = t.p == 2 ? 3 : 2; });
  return to;
}

const std::vector<Way>& ways() {
  static const Ways all = make_ways();
  return all.list();
}

/// The variant-th way of an op, or null.
const Way* way_of(const OpDef& op, int variant) {
  for (const Way& w : ways())
    if (w.op == &op && variant-- == 0) return &w;
  return nullptr;
}

}  // namespace

bool shift_attributes(const OpDef& op, int variant, void* attrs, const Tensor* in, int n) {
  const Way* way = way_of(op, variant);
  return way && way->change(attrs, in, n);
}

int attribute_variants(const OpDef& op) {
  int n = 0;
  for (const Way& w : ways()) n += w.op == &op;
  return n;
}

std::string attribute_name(const OpDef& op, int variant) {
  const Way* way = way_of(op, variant);
  return way ? way->what : "";
}

}  // namespace thalweg::check

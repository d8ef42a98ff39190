// Wrong attributes that an op's author might well write: the next dimension, the other direction, the next
// element. Depends on mutants_hook.hpp and the structured ops. Invariant: one line of the table per way.
#include <thalweg/check/mutants_hook.hpp>
#include <thalweg/ops/structured/index.hpp>
#include <thalweg/ops/structured/loss.hpp>
#include <thalweg/ops/structured/random.hpp>
#include <thalweg/ops/structured/reduce.hpp>
#include <thalweg/ops/structured/scan.hpp>
#include <thalweg/ops/structured/shape.hpp>
#include <thalweg/ops/structured/softmax.hpp>

namespace thalweg::check {
namespace {

using Change = bool (*)(void* attrs, const Tensor* in, int n);

struct Way {
  const OpDef* op;
  Change change;
};

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

template <class Op>
void dim_way(std::vector<Way>& to) {
  to.push_back({&ops::op_def<Op>(), [](void* p, const Tensor* in, int) {
                  return next(static_cast<typename Op::Attrs*>(p)->dim, in[0].dim());
                }});
}

template <class Op>
void dims_way(std::vector<Way>& to) {
  to.push_back({&ops::op_def<Op>(), [](void* p, const Tensor* in, int) {
                  return next_each(static_cast<typename Op::Attrs*>(p)->dims, in[0].dim());
                }});
}

template <class Op>
void reverse_way(std::vector<Way>& to) {
  to.push_back({&ops::op_def<Op>(), [](void* p, const Tensor*, int) {
                  bool& reverse = static_cast<typename Op::Attrs*>(p)->reverse;
                  reverse = !reverse;
                  return true;
                }});
}

template <class Op, class Options>
void loss_ways(std::vector<Way>& to, Options* (*options)(void*)) {
  static Options* (*const options_of)(void*) = options;
  to.push_back({&ops::op_def<Op>(), [](void* p, const Tensor*, int) {
                  Reduction& r = options_of(p)->reduction;
                  if (r == Reduction::none) return false;
                  r = r == Reduction::mean ? Reduction::sum : Reduction::mean;
                  return true;
                }});
  to.push_back({&ops::op_def<Op>(), [](void* p, const Tensor*, int) {
                  std::int64_t& ignored = options_of(p)->ignore_index;
                  ignored = ignored == 1 ? 2 : 1;
                  return true;
                }});
}

bool later(ops::Slice::Attrs& t, std::int64_t by) {
  t.start += by;
  if (t.end != to_end) t.end += by;
  return true;
}

void shape_ways(std::vector<Way>& to) {
  using namespace ops;
  to.push_back({&op_def<Transpose>(), [](void* p, const Tensor* in, int) {
                  auto& t = *static_cast<Transpose::Attrs*>(p);
                  return in[0].dim() > 2 && next(t.dim1, in[0].dim());
                }});
  to.push_back({&op_def<Transpose>(), [](void* p, const Tensor*, int) {
                  auto& t = *static_cast<Transpose::Attrs*>(p);
                  t.dim1 = t.dim0;
                  return true;
                }});
  to.push_back({&op_def<Permute>(), [](void* p, const Tensor* in, int) {
                  auto& order = static_cast<Permute::Attrs*>(p)->order;
                  return next_each(order, in[0].dim());
                }});
  to.push_back({&op_def<Permute>(),
                [](void* p, const Tensor*, int) {  // its own inverse instead, or the other way round
                  Dims& order = static_cast<Permute::Attrs*>(p)->order;
                  Dims inverse = order;
                  for (int i = 0; i < order.size(); ++i) {
                    if (order[i] < 0) order[i] += order.size();
                    inverse[static_cast<int>(order[i])] = i;
                  }
                  order = inverse;
                  return true;
                }});
  to.push_back({&op_def<Slice>(),
                [](void* p, const Tensor*, int) { return later(*static_cast<Slice::Attrs*>(p), 1); }});
  to.push_back({&op_def<Slice>(),
                [](void* p, const Tensor*, int) { return later(*static_cast<Slice::Attrs*>(p), -1); }});
  dim_way<Slice>(to);
  to.push_back({&op_def<SliceBackward>(), [](void* p, const Tensor*, int) {
                  return later(static_cast<SliceBackward::Attrs*>(p)->slice, 1);
                }});
  to.push_back({&op_def<SliceBackward>(), [](void* p, const Tensor*, int) {
                  return later(static_cast<SliceBackward::Attrs*>(p)->slice, -1);
                }});
  to.push_back({&op_def<SliceBackward>(), [](void* p, const Tensor* in, int) {
                  auto& t = *static_cast<SliceBackward::Attrs*>(p);
                  return next(t.slice.dim, in[0].dim());
                }});
  to.push_back({&op_def<Select>(), [](void* p, const Tensor* in, int) {
                  auto& t = *static_cast<Select::Attrs*>(p);
                  const int d = static_cast<int>(t.dim < 0 ? t.dim + in[0].dim() : t.dim);
                  t.index = (t.index + 1) % in[0].shape()[d];
                  return true;
                }});
  dim_way<Select>(to);
  dim_way<Unsqueeze>(to);
  dims_way<Squeeze>(to);
  dims_way<Flip>(to);
  dim_way<Cat>(to);
  to.push_back({&op_def<Pad>(), [](void* p, const Tensor*, int) {
                  auto& t = *static_cast<Pad::Attrs*>(p);
                  std::swap(t.before, t.after);
                  return true;
                }});
}

std::vector<Way> make_ways() {
  using namespace ops;
  std::vector<Way> to;
  shape_ways(to);
  dims_way<Sum>(to), dims_way<Mean>(to), dims_way<Prod>(to), dims_way<Max>(to), dims_way<Min>(to);
  dim_way<Gather>(to), dim_way<ScatterAdd>(to), dim_way<IndexSelect>(to), dim_way<IndexAdd>(to);
  dim_way<Softmax>(to), dim_way<SoftmaxBackward>(to), dim_way<LogSoftmax>(to),
      dim_way<LogSoftmaxBackward>(to);
  dim_way<CumSum>(to), dim_way<CumProd>(to), dim_way<Recurrence>(to);
  reverse_way<CumSum>(to), reverse_way<CumProd>(to), reverse_way<Recurrence>(to);
  to.push_back({&op_def<Recurrence>(), [](void* p, const Tensor*, int) {
                  bool& lagged = static_cast<RecurrenceOptions*>(p)->lagged;
                  lagged = !lagged;
                  return true;
                }});
  constexpr auto cross = [](void* p) { return static_cast<CrossEntropyOptions*>(p); };
  constexpr auto nll = [](void* p) { return static_cast<NllOptions*>(p); };
  loss_ways<CrossEntropyBackward, CrossEntropyOptions>(to, cross);
  loss_ways<SoftCrossEntropyBackward, CrossEntropyOptions>(to, cross);
  loss_ways<NllLoss, NllOptions>(to, nll);
  loss_ways<NllLossBackward, NllOptions>(
      to, [](void* p) { return &static_cast<NllLossBackward::Attrs*>(p)->options; });
  to.push_back({&op_def<Dropout>(), [](void* p, const Tensor*, int) {
                  ++static_cast<Dropout::Attrs*>(p)->key.offset;
                  return true;
                }});
  to.push_back({&op_def<Dropout>(), [](void* p, const Tensor*, int) {
                  double& keep = static_cast<Dropout::Attrs*>(p)->p;
                  keep = keep > 0.5 ? keep - 0.1 : keep + 0.1;
                  return true;
                }});
  return to;
}

}  // namespace

bool shift_attributes(const OpDef& op, int variant, void* attrs, const Tensor* in, int n) {
  static const std::vector<Way> ways = make_ways();
  for (const Way& w : ways)
    if (w.op == &op && variant-- == 0) return w.change(attrs, in, n);
  return false;
}

}  // namespace thalweg::check

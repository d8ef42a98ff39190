// Wrong attributes of convolution, pooling and normalisation: a step more or less in one direction, the two
// directions mistaken for each other, an attribute left at its default. Depends on mutants_ways.hpp and the
// structured ops. Invariant: a pair of numbers is written out in full before one of the two is changed.
#include <utility>

#include <fmt/format.h>

#include <thalweg/check/mutants_ways.hpp>
#include <thalweg/ops/structured/conv.hpp>
#include <thalweg/ops/structured/norm.hpp>
#include <thalweg/ops/structured/norm_groups.hpp>
#include <thalweg/ops/structured/pool.hpp>

namespace thalweg::check {
namespace {

/// {n} stands for {n, n}, nothing for `otherwise`.
void write_out(Dims& pair, const Dims& otherwise) {
  if (pair.empty()) pair = otherwise;
  if (pair.size() == 1) pair.push_back(pair[0]);
}

/// The ways of a pair of numbers that `pair(attrs)` gives, written out.
template <class Op, class F>
void pair_ways(Ways& to, const std::string& name, F pair, std::int64_t otherwise) {
  for (int d = 0; d < 2; ++d)
    for (int by : {1, -1})
      to.add<Op>(fmt::format("{}[{}] {} 1", name, d, by > 0 ? '+' : '-'),
                 [pair, d, by](auto& t) { pair(t)[d] += by; });
  to.add<Op>(name + " swapped", [pair](auto& t, const Tensor*, int) {
    Dims& p = pair(t);
    std::swap(p[0], p[1]);
    return p[0] != p[1];
  });
  to.add<Op>(name + " left out", [pair, otherwise](auto& t, const Tensor*, int) {
    Dims& p = pair(t);
    const Dims before = std::exchange(p, Dims{otherwise, otherwise});
    return !(before == p);
  });
}

template <class Op>
void conv_ways(Ways& to) {
  const auto pair = [](Dims ops::ConvAttrs::*member) {
    return [member](ops::ConvAttrs& t) -> Dims& {
      write_out(t.*member, {0, 0});
      return t.*member;
    };
  };
  pair_ways<Op>(to, "stride", pair(&ops::ConvAttrs::stride), 1);
  pair_ways<Op>(to, "padding", pair(&ops::ConvAttrs::padding), 0);
  pair_ways<Op>(to, "dilation", pair(&ops::ConvAttrs::dilation), 1);
  to.add<Op>("groups x 2", [](auto& t) { t.groups *= 2; });
  to.add<Op>("groups left out", [](auto& t, const Tensor*, int) { return std::exchange(t.groups, 1) != 1; });
  to.add<Op>("size swapped", [](auto& t, const Tensor*, int) {
    if (t.size.size() < 2) return false;
    std::swap(t.size[0], t.size[1]);
    return true;
  });
}

/// `window(attrs)` is the pooling's own options.
template <class Op, class F>
void pool_ways(Ways& to, F window) {
  const auto kernel = [window](auto& t) -> Dims& {
    write_out(window(t).kernel, {2, 2});
    return window(t).kernel;
  };
  const auto stride = [window, kernel](auto& t) -> Dims& {
    write_out(window(t).stride, kernel(t));
    return window(t).stride;
  };
  const auto padding = [window](auto& t) -> Dims& {
    write_out(window(t).padding, {0, 0});
    return window(t).padding;
  };
  pair_ways<Op>(to, "kernel", kernel, 2);
  pair_ways<Op>(to, "stride", stride, 1);
  to.add<Op>("stride of the kernel", [kernel, stride](auto& t, const Tensor*, int) {
    const Dims& k = kernel(t);
    return !(std::exchange(stride(t), k) == k);
  });
  pair_ways<Op>(to, "padding", padding, 0);
  to.add<Op>("ceil_mode", [window](auto& t) { window(t).ceil_mode = !window(t).ceil_mode; });
  if constexpr (requires(typename Op::Attrs& t) { window(t).dilation; }) {
    pair_ways<Op>(
        to, "dilation",
        [window](auto& t) -> Dims& {
          write_out(window(t).dilation, {1, 1});
          return window(t).dilation;
        },
        1);
  } else {
    to.add<Op>("count_include_pad",
               [window](auto& t) { window(t).count_include_pad = !window(t).count_include_pad; });
  }
  if constexpr (requires(typename Op::Attrs& t) { t.height; })
    to.add<Op>("size swapped", [](auto& t) { std::swap(t.height, t.width); });
}

template <class... Op>
void eps_ways(Ways& to) {
  (to.add<Op>("eps x 2", [](auto& t) { t.eps *= 2; }), ...);
  (to.add<Op>("eps 0", [](auto& t, const Tensor*, int) { return std::exchange(t.eps, 0) != 0; }), ...);
  (to.add<Op>("eps left out",
              [](auto& t, const Tensor*, int) {
                const double eps = typename Op::Attrs().eps;
                return std::exchange(t.eps, eps) != eps;
              }),
   ...);
}

template <class... Op>
void group_ways(Ways& to) {
  (to.add<Op>("groups x 2", [](auto& t) { t.groups *= 2; }), ...);
  (to.add<Op>("groups / 2",
              [](auto& t, const Tensor*, int) {
                t.groups /= 2;
                return t.groups > 0;
              }),
   ...);
}

/// A number of trailing dimensions that x does not have is left out: infer refuses it.
template <class... Op>
void trailing_ways(Ways& to) {
  (to.add<Op>("dims + 1",
              [](auto& t, const Tensor* in, int) { return in[0].defined() && ++t.dims <= in[0].dim(); }),
   ...);
  (to.add<Op>("dims - 1", [](auto& t, const Tensor*, int) { return --t.dims > 0; }), ...);
}

}  // namespace

void geometry_ways(Ways& to) {
  using namespace ops;
  conv_ways<Conv2d>(to), conv_ways<Conv2dRelu>(to);
  conv_ways<Conv2dInputGradient>(to), conv_ways<Conv2dWeightGradient>(to);
  const auto own = [](auto& t) -> auto& { return t; };
  const auto window = [](auto& t) -> auto& { return t.window; };
  pool_ways<MaxPool2d>(to, own), pool_ways<MaxPool2dGather>(to, own), pool_ways<AvgPool2d>(to, own);
  pool_ways<MaxPool2dBackward>(to, window), pool_ways<AvgPool2dBackward>(to, window);
  eps_ways<BatchNorm, BatchNormBackward, BatchNormInference>(to);
  eps_ways<LayerNorm, LayerNormBackward, GroupNorm, GroupNormBackward>(to);
  to.add<BatchNormBackward>("given", [](auto& t) { t.given = !t.given; });
  trailing_ways<LayerNorm, LayerNormBackward>(to);
  group_ways<GroupNorm, GroupNormBackward>(to);
}

}  // namespace thalweg::check

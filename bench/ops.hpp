// The calls with which each registered op is measured, small and large. Depends on the op structs.
// Invariant: pointwise ops need no line here; every other op has a call or a reason (ops_without_case()).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <thalweg/ops/registry.hpp>

#include "case.hpp"

namespace bench {

/// Arguments of an op and what the row must at least do, where bytes of inputs and outputs do not say it.
struct OpCall {
  std::vector<thalweg::Tensor> in;
  std::shared_ptr<const void> attrs{};
  double flops = 0;                      ///< of the forward pass
  std::vector<std::int64_t> numbers{};   ///< for the peer
  unsigned frozen = 0;                   ///< bit i: no gradient of input i, because the peer has none
};

struct OpEntry {
  const char* op;
  const char* variant;                   ///< "" or what is special, part of the row's name
  OpCall (*call)(bool large);            ///< null: not measured, for the reason given
  const char* no_peer = "";              ///< why there is no twin, or why the op is not measured
  const char* peer = "";                 ///< the twin's name where it is not the op's
  bool same_bits = true;                 ///< results are compared
};

const std::vector<OpEntry>& op_table();
/// A pointwise op's attributes where its defaults would make it do nothing, and the reason where it has no twin.
OpCall pointwise_call(const thalweg::OpInfo& op, bool large);

/// Uniform f32 numbers on [low, high), from a fixed seed.
thalweg::Tensor uniform(const thalweg::Dims& shape, double low = -2, double high = 2);
/// i64 numbers in [0, n).
thalweg::Tensor indices(const thalweg::Dims& shape, std::int64_t n);

}  // namespace bench

// TensorBody: what a Tensor handle points to; geometry, memory and the edge to whatever recorded it.
// Depends on base and storage. Invariant: geometry never changes after construction; only the edge may (in-place).
#pragma once

#include <atomic>
#include <cstdint>

#include <thalweg/autograd/base/dims.hpp>
#include <thalweg/autograd/base/dtype.hpp>
#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/autograd/base/view.hpp>
#include <thalweg/autograd/tensor/storage.hpp>

namespace thalweg {

/// The part of a graph node that tensors know: it is counted and ranked. The rest is graph/node.hpp.
struct NodeHeader {
  std::atomic<std::uint32_t> refs{1};
  bool is_leaf = false;     // accumulates a leaf's gradient
  std::uint64_t rank = 0;   // Lamport clock: greater than every input's; leaves 0
  static void drop(NodeHeader* n) noexcept;  // defined in graph/node.cpp
};

struct TensorBody {
  std::atomic<std::uint32_t> refs{1};
  DType dtype = DType::f32;
  bool contiguous = true;
  std::uint16_t out_index = 0;      // which output of `node` this is
  std::uint32_t edge_version = 0;   // storage version that `node` describes, when node is not a leaf
  void* data = nullptr;             // first element
  Ref<Storage> storage;
  Ref<NodeHeader> node;             // producer or leaf accumulator; null: no gradient flows
  std::int64_t numel = 1;
  Dims shape;
  Dims strides;

  static TensorBody* make() { return new (mem::allocate(sizeof(TensorBody))) TensorBody; }
  static void drop(TensorBody* b) noexcept {
    b->~TensorBody();
    mem::release(b, sizeof(TensorBody));
  }
};

}  // namespace thalweg

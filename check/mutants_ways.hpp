// Ways: the wrong attributes that mutants are made of, one line per way. Internal to check/. Depends on op.hpp.
// Invariant: a way returns false, and has changed nothing that counts, where it makes no sense for the call.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <thalweg/ops/op.hpp>

namespace thalweg::check {

/// Changes attributes of `op` for a call on in[0..n); inputs may be undefined.
struct Way {
  const OpDef* op;
  std::string what;  ///< "dim", "stride[0] + 1", ...
  std::function<bool(void* attrs, const Tensor* in, int n)> change;
};

class Ways {
 public:
  /// change(Attrs&, const Tensor* in, int n) -> bool, or change(Attrs&) where it always makes sense.
  template <class Op, class F>
  void add(std::string what, F change) {
    list_.push_back({&ops::op_def<Op>(), std::move(what), [change](void* p, const Tensor* in, int n) {
                       auto& attrs = *static_cast<typename Op::Attrs*>(p);
                       if constexpr (requires { change(attrs, in, n); })
                         return change(attrs, in, n);
                       else
                         return change(attrs), true;
                     }});
  }
  const std::vector<Way>& list() const noexcept { return list_; }

 private:
  std::vector<Way> list_;
};

/// Convolution, pooling, normalisation: geometry and eps. In mutants_geometry.cpp.
void geometry_ways(Ways& to);

}  // namespace thalweg::check

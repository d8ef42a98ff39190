// StateVisitor: how an object names what must outlive the process (moments, counters, histories), so that a
// checkpoint can write it and put it back. Depends on tensor.
// Invariant: an object visits the same names in the same order before and after a load; names are joined by
// dots.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::io {

/// Passed to `visit(StateVisitor&)` of optimizers, schedules, callbacks and metrics. Whether the values are
/// read or written is the visitor's affair: an object only says f("wait", wait_).
class StateVisitor {
 public:
  virtual ~StateVisitor() = default;

  void operator()(std::string_view name, Tensor& v) { on_tensor(join(name), v); }
  void operator()(std::string_view name, std::int64_t& v) { on_integer(join(name), v); }
  void operator()(std::string_view name, std::uint64_t& v) {
    auto bits = static_cast<std::int64_t>(v);
    on_integer(join(name), bits);
    v = static_cast<std::uint64_t>(bits);
  }
  void operator()(std::string_view name, bool& v) {
    auto bit = static_cast<std::int64_t>(v);
    on_integer(join(name), bit);
    v = bit != 0;
  }
  void operator()(std::string_view name, double& v) { on_number(join(name), v); }
  void operator()(std::string_view name, std::string& v) { on_text(join(name), v); }
  void operator()(std::string_view name, std::vector<double>& v) { on_numbers(join(name), v); }

  /// Calls visit() with every name inside under `name` and a dot.
  template <class F>
  void scope(std::string_view name, F visit) {
    const std::string outer = path_;
    path_ = join(name);
    visit(*this);
    path_ = outer;
  }

 protected:
  /// A tensor may be undefined before a load and defined after it, and the reverse.
  virtual void on_tensor(const std::string& name, Tensor& v) = 0;
  virtual void on_integer(const std::string& name, std::int64_t& v) = 0;
  virtual void on_number(const std::string& name, double& v) = 0;
  virtual void on_text(const std::string& name, std::string& v) = 0;
  virtual void on_numbers(const std::string& name, std::vector<double>& v) = 0;

 private:
  std::string join(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }

  std::string path_;
};

}  // namespace thalweg::io

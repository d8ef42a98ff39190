// StateCopy: what a checkpoint does, in memory: takes copies of all that visit() names, or puts them back.
// Depends on io (state). Invariant: a load asks for the names that were saved, no others.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/io/state.hpp>
#include <thalweg/thalweg.hpp>

namespace optim_test {

struct StateCopy : thalweg::io::StateVisitor {
  using Tensor = thalweg::Tensor;
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::int64_t> integers;
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> texts;
  std::map<std::string, std::vector<double>> lists;
  bool loading = false;

  void on_tensor(const std::string& name, Tensor& v) override {
    take(tensors, name, v, [](const Tensor& t) { return t.defined() ? t.clone() : t; });
  }
  void on_integer(const std::string& name, std::int64_t& v) override { take(integers, name, v); }
  void on_number(const std::string& name, double& v) override { take(numbers, name, v); }
  void on_text(const std::string& name, std::string& v) override { take(texts, name, v); }
  void on_numbers(const std::string& name, std::vector<double>& v) override { take(lists, name, v); }

 private:
  template <class T, class Copy>
  void take(std::map<std::string, T>& all, const std::string& name, T& v, Copy copy) {
    if (loading)
      v = copy(all.at(name));
    else
      all.emplace(name, copy(v));
  }
  template <class T>
  void take(std::map<std::string, T>& all, const std::string& name, T& v) {
    take(all, name, v, [](const T& x) { return x; });
  }
};

}  // namespace optim_test

// operator new fails at the first call, the second, and so on until the work is done: each time an exception
// arrives, gradients, parameters and the count of nodes are as before, and the last, undisturbed round has
// the result of one that never failed. (Tensor data have an allocator of their own:
// tests/base/test_memory.cpp.)
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>
#include <vector>

#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/thalweg.hpp>

namespace {

thread_local long calls_left = -1;  // of operator new on this thread before one fails; -1: none fails

void* take(std::size_t bytes, std::size_t alignment) {
  if (calls_left >= 0 && calls_left-- == 0) throw std::bad_alloc();
  const std::size_t whole = (bytes / alignment + 1) * alignment;
  void* p = alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__ ? std::aligned_alloc(alignment, whole)
                                                         : std::malloc(whole);
  if (!p) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(std::size_t bytes) { return take(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t bytes, std::align_val_t a) { return take(bytes, static_cast<std::size_t>(a)); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes ? bytes : 1); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace tw = thalweg;
using tw::Tensor;

namespace {

/// Runs `work` with the n-th allocation failing, for n = 0, 1, ... until it ends well; `unchanged` after each
/// failure.
template <class Work, class Check>
int exhaust(Work work, Check unchanged) {
  for (int n = 0; n < 100'000; ++n) {
    bool failed = false;
    calls_left = n;
    try {
      work();
    } catch (const std::exception&) {  // bad_alloc, or what names the op around it
      failed = true;
    }
    calls_left = -1;
    if (!failed) return n;
    unchanged();
  }
  FAIL("never ends well");
  return 0;
}

std::vector<float> values(const std::vector<Tensor>& tensors) {
  std::vector<float> all;
  for (const Tensor& t : tensors)
    if (t.defined()) all.insert(all.end(), t.data<float>(), t.data<float>() + t.numel());
  return all;
}

std::vector<Tensor> gradients(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> all;
  for (const Tensor& p : parameters) all.push_back(p.grad());
  return all;
}

tw::nn::Sequential network() {
  tw::nn::seed(3);
  return tw::nn::Sequential(tw::nn::Conv2d({.in = 1, .out = 2, .kernel = 3}),
                            tw::nn::BatchNorm2d({.features = 2}), tw::nn::Flatten(),
                            tw::nn::Linear({.in = 32, .out = 3}));
}

}  // namespace

TEST_CASE("operator new failing at every call of a forward and backward pass") {
  tw::nn::Sequential model = network();
  const Tensor x = tw::linspace(-1, 1, 72).reshape({2, 1, 6, 6}), label = tw::arange(2);
  const std::vector<Tensor> parameters = tw::nn::parameters(model);
  const auto loss = [&] { return tw::cross_entropy(model(x), label); };
  loss().backward();
  const std::vector<float> once = values(gradients(parameters));
  const std::int64_t nodes = tw::live_nodes();

  const int forward = exhaust([&] { (void)loss(); },
                              [&] {
                                CHECK(tw::live_nodes() == nodes);
                                CHECK(tw::grad_enabled());
                              });
  CHECK(forward > 0);
  const int backward = exhaust(
      [&] {
        const Tensor l = loss();
        l.backward();
      },
      [&] {
        CHECK((values(gradients(parameters)) == once));
        CHECK(tw::live_nodes() == nodes);
      });
  CHECK(backward > forward);
  const std::vector<float> twice = values(gradients(parameters));
  for (std::size_t i = 0; i < once.size(); ++i) CHECK(twice[i] == 2 * once[i]);
}

TEST_CASE("operator new failing at every call of an optimizer's step and of loading") {
  tw::nn::Sequential model = network(), same = network(), other = network();
  tw::optim::Adam adam(tw::nn::parameters(model), {.lr = 0.1}), twin(tw::nn::parameters(same), {.lr = 0.1});
  const auto give_gradients = [](tw::nn::Sequential& m) {
    for (Tensor& p : tw::nn::parameters(m)) p.set_grad(tw::ones(p.shape()));
  };
  give_gradients(model);
  give_gradients(same);
  const std::vector<float> before = values(tw::nn::parameters(model));
  CHECK(exhaust([&] { adam.step(); }, [&] { CHECK((values(tw::nn::parameters(model)) == before)); }) > 0);
  twin.step();
  CHECK((values(tw::nn::parameters(model)) == values(tw::nn::parameters(same))));

  const auto state = tw::nn::state_dict(model);
  const std::vector<float> old = values(tw::nn::parameters(other));
  CHECK(exhaust([&] { tw::nn::load_state_dict(other, state); },
                [&] { CHECK((values(tw::nn::parameters(other)) == old)); }) > 0);
  CHECK((values(tw::nn::parameters(other)) == values(tw::nn::parameters(model))));
}

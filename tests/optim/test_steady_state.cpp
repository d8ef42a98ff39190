// Training in the steady state asks nothing of the operating system: no call of the allocator's, no page
// fault. Depends on nn, optim and doctest.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <chrono>
#include <thread>
#include <vector>

#include <thalweg/nn/nn.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);  // of all threads
  return usage.ru_minflt + usage.ru_majflt;
}

}  // namespace

TEST_CASE("optim: fifty steps after twenty take no page fault and make no system call") {
  if (sanitized) return;
  const int before = par::num_threads();
  for (int threads : {1, 2})
    for (std::int64_t batch : {1, 128}) {
      par::set_num_threads(threads);
      Generator g(5);
      nn::Sequential net(nn::Linear({.in = 784, .out = 512, .activation = Activation::relu, .generator = &g}),
                         nn::Dropout({.p = 0.2, .generator = &g}),
                         nn::Linear({.in = 512, .out = 256, .activation = Activation::relu, .generator = &g}),
                         nn::Dropout({.p = 0.2, .generator = &g}),
                         nn::Linear({.in = 256, .out = 10, .generator = &g}));
      const std::vector<Tensor> parameters = nn::parameters(net);
      optim::Adam adam(parameters);
      optim::Ema ema(parameters);
      const Tensor x = rand({batch, 784}, g), label = (10 * rand({batch}, g)).to(DType::i64);
      const auto steps = [&](int n) {
        for (int i = 0; i < n; ++i) {
          cross_entropy(net(x), label).backward();
          optim::clip_grad_norm(parameters, 1);
          adam.step();
          adam.zero_grad();
          ema.update();
        }
      };
      {
        // On a busy machine a worker might come for the first time after the warm-up: here all of them meet,
        // and then go to sleep once.
        const par::Rendezvous rendezvous;
        steps(10);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      steps(10);
      const MemoryStats held = memory_stats();
      const long faults = page_faults();
      steps(50);
      CHECK(page_faults() == faults);
      CHECK(memory_stats().system_calls == held.system_calls);
      CHECK(memory_stats().live_bytes == held.live_bytes);
    }
  par::set_num_threads(before);
}

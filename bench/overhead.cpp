// What one recorded op costs beyond its arithmetic: time per op, and locked instructions per op.
// Depends on the umbrella. Invariant: every figure is the median of 25 repetitions in one run of this program.
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <thalweg/thalweg.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

constexpr int repetitions = 25;

/// Median nanoseconds per unit of f(), which does `units` of them.
double nanoseconds(int units, const std::function<void()>& f) {
  std::vector<double> times;
  for (int i = 0; i < 3; ++i) f();
  for (int i = 0; i < repetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double, std::nano> d = std::chrono::steady_clock::now() - start;
    times.push_back(d.count() / units);
  }
  std::nth_element(times.begin(), times.begin() + repetitions / 2, times.end());
  return times[repetitions / 2];
}

Tensor value(double v, bool wants_gradient) {
  Tensor t = tw::full({1}, v);
  t.set_requires_grad(wants_gradient);
  return t;
}

/// True for an instruction that locks the bus: a LOCK prefix, or xchg with memory.
bool is_locked(const unsigned char* p) {
  for (int i = 0; i < 8; ++i, ++p) {
    switch (*p) {
      case 0xF0: return true;
      case 0x66: case 0x67: case 0xF2: case 0xF3: case 0x2E: case 0x36: case 0x3E: case 0x26: case 0x64: case 0x65: continue;
      default: break;
    }
    if ((*p & 0xF0) == 0x40) ++p;  // REX
    return (*p == 0x86 || *p == 0x87) && (p[1] >> 6) != 3;
  }
  return false;
}

struct Counts {
  double instructions = 0;
  double locked = 0;
};

/// Instructions of f(), counted by single-stepping a copy of this process.
Counts count_instructions(int units, const std::function<void()>& f) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    for (int i = 0; i < 3; ++i) f();
    raise(SIGSTOP);
    f();
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) return {};
  Counts c;
  int stops = 0;
  long steps = 0;
  for (;;) {
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) return {};
    if (WSTOPSIG(status) == SIGSTOP && ++stops == 1) break;
    user_regs_struct regs{};
    if (ptrace(PTRACE_GETREGS, child, nullptr, &regs) != 0) break;
    unsigned char code[16];
    std::memcpy(code, reinterpret_cast<const void*>(regs.rip), sizeof code);  // the child's text is ours
    ++steps;
    c.locked += is_locked(code);
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  c.instructions = static_cast<double>(steps) / units;
  c.locked /= units;
  return c;
}

void row(const char* what, double ns, double goal, double record) {
  std::printf("%-58s %8.0f ns   goal %4.0f   ", what, ns, goal);
  if (record > 0) std::printf("DyNet %5.0f (%.1fx)", record, record / ns);
  std::printf("\n");
}

constexpr int chain = 1000;
constexpr int counted_chain = 100;  // single-stepping is slow

void adds(const Tensor& a, const Tensor& b, int n = chain) {
  for (int i = 0; i < n; ++i) Tensor y = a + b;
}

void multiply_chain(Tensor& x, const Tensor& b, bool run_backward, int n = chain) {
  Tensor y = x;
  for (int i = 0; i < n; ++i) y = y * b;
  if (run_backward) y.backward();
  x.zero_grad();
}

void tanh_chain(const Tensor& start, Tensor& b) {
  Tensor x = start;
  for (int i = 0; i < chain; ++i) x = tw::tanh(x * b + b);
  x.sum().backward();
  b.zero_grad();
}

}  // namespace

int main() {
  tw::par::set_num_threads(1);
  const Tensor a = value(1.0, true), b = value(1.0, false);
  Tensor x = value(1.0, true), w = value(1.0, true);
  std::printf("per-op overhead, one element unless stated, median of %d\n\n", repetitions);
  row("recorded add, with its release", nanoseconds(chain, [&] { adds(a, b); }), 100, 248);
  row("add under NoGrad", nanoseconds(chain, [&] {
        tw::NoGrad off;
        adds(a, b);
      }), 45, 0);
  row("multiply of a 1,000-long chain, forward + release", nanoseconds(chain, [&] { multiply_chain(x, b, false); }), 150, 248);
  row("multiply of a 1,000-long chain, forward + backward + release",
      nanoseconds(chain, [&] { multiply_chain(x, b, true); }), 200, 325);
  Tensor bias = tw::full({64}, 0.1);
  bias.set_requires_grad();
  const Tensor start = tw::full({64}, 0.5);
  row("x = tanh(x*b + b) on 64 floats, forward + backward", nanoseconds(chain, [&] { tanh_chain(start, bias); }), 600, 1377);

  std::fflush(stdout);
  std::printf("\n%-58s %8s   %12s\n", "counted by single-stepping", "locked", "instructions");
  const auto counted = [](const char* what, const Counts& c) {
    std::printf("%-58s %8.1f   %12.0f\n", what, c.locked, c.instructions);
  };
  counted("recorded add of two leaves, with its release", count_instructions(counted_chain, [&] { adds(a, w, counted_chain); }));
  counted("add under NoGrad", count_instructions(counted_chain, [&] {
            tw::NoGrad off;
            adds(a, b, counted_chain);
          }));
  counted("multiply in a chain, forward + backward + release", count_instructions(counted_chain, [&] { multiply_chain(x, w, true, counted_chain); }));
  return 0;
}

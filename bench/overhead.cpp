// What one recorded op costs beyond its arithmetic: time per op, and locked instructions per op.
// Depends on the umbrella. Invariant: instructions are counted by single-stepping a copy of this process, so nothing that
// is counted runs here.
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include <thalweg/thalweg.hpp>

#include "case.hpp"
#include "measure.hpp"

namespace tw = thalweg;
using tw::Tensor;

namespace bench {
namespace {

constexpr const char* group = "overhead";
constexpr int chain = 1000;
constexpr int counted_chain = 100;  // single-stepping is slow

Tensor value(double v, bool wants_gradient, std::int64_t n = 1) {
  Tensor t = tw::full({n}, v);
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

void adds(const Tensor& a, const Tensor& b, int n) {
  for (int i = 0; i < n; ++i) Tensor y = a + b;
}
void silent_adds(const Tensor& a, const Tensor& b, int n) {
  const tw::NoGrad off;
  adds(a, b, n);
}
void multiply_chain(Tensor x, const Tensor& b, bool run_backward, int n) {
  Tensor y = x;
  for (int i = 0; i < n; ++i) y = y * b;
  if (run_backward) y.backward();
  x.zero_grad();
}
void tanh_chain(const Tensor& start, Tensor b, int n) {
  Tensor x = start;
  for (int i = 0; i < n; ++i) x = tw::tanh(x * b + b);
  x.sum().backward();
  b.zero_grad();
}

/// The rows' operands: what is recorded is `a`, `b` or both.
Ready ready_of(std::vector<Tensor> in, void (*f)(const std::vector<Tensor>&), const char* twin, bool backward) {
  Ready r{.work = {.overhead = true, .backward = backward}};
  for (const Tensor& t : in) r.peer.in.push_back(array_of(t));
  r.peer.name = twin;
  r.peer.numbers = {chain};
  r.ours = [in = std::move(in), f](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) f(in);
  };
  return r;
}

using In = const std::vector<Tensor>&;

Case timed(const char* name, std::function<Ready()> make, double goal) {
  return {.group = group, .name = name, .make = std::move(make), .goal = goal * 1e-9, .threads = 1, .units = chain};
}

Case counted(const char* name, void (*f)()) {
  Case c{.group = group, .name = name};
  c.custom = [f](Row& row, Peer*) {
    const Counts counts = count_instructions(counted_chain, f);
    row.unit = "instructions";
    row.median = counts.instructions;
    row.note = std::to_string(counts.locked).substr(0, 4) + " of them locked";
  };
  return c;
}

}  // namespace

void add_overhead_cases(std::vector<Case>& to) {
  to.push_back(timed("recorded add, with its release",
                     [] { return ready_of({value(1, true), value(1, false)}, [](In x) { adds(x[0], x[1], chain); }, "adds", false); }, 100));
  to.push_back(timed("add under NoGrad", [] {
    return ready_of({value(1, true), value(1, false)}, [](In x) { silent_adds(x[0], x[1], chain); }, "silent adds", false);
  }, 45));
  to.push_back(timed("multiply chain, forward + release", [] {
    return ready_of({value(1, true), value(1, false)}, [](In x) { multiply_chain(x[0], x[1], false, chain); }, "multiply chain", false);
  }, 150));
  to.push_back(timed("multiply chain, forward + backward + release", [] {
    return ready_of({value(1, true), value(1, false)}, [](In x) { multiply_chain(x[0], x[1], true, chain); }, "multiply chain backward", true);
  }, 200));
  to.push_back(counted("recorded add of two leaves, counted", [] { adds(value(1, true), value(1, true), counted_chain); }));
  to.push_back(counted("add under NoGrad, counted", [] { silent_adds(value(1, true), value(1, true), counted_chain); }));
  to.push_back(counted("multiply chain with backward, counted", [] { multiply_chain(value(1, true), value(1, true), true, counted_chain); }));
  to.push_back({.group = "kernels", .name = "1,000 x tanh(x*b + b) on 64 floats, forward + backward", .make = [] {
    Ready r = ready_of({value(0.5, false, 64), value(0.1, true, 64)}, [](In x) { tanh_chain(x[0], x[1], chain); }, "tanh chain", true);
    r.work = {.flops = 64.0 * chain * 2 * 40, .read = 0, .written = 0};
    return r;
  }, .goal = 600e-6});
}

}  // namespace bench

// A training is killed with SIGKILL over and over, resumed each time, and ends with the bits of one that
// never was: at random moments, at the n-th call of the file system (inside a save), on one thread and on
// two. The trainings run in processes of their own: this test program again, with one test case that is
// skipped otherwise.
#include <csignal>
#include <cstdlib>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/image_augmenter.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/train/stopwatch.hpp>
#include <thalweg/train/train.hpp>

#include "io/files.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

/// A callback of a user's own, with state and effect: it counts batches and shrinks the rate at every 25th.
class Shrink final : public train::Callback {
 public:
  std::string name() const override { return "Shrink"; }
  void on_batch_end(train::Training& t) override {
    if (++batches_ % 25 == 0) t.optimizer().set_lr(t.optimizer().lr() * 0.9);
  }
  void visit(io::StateVisitor& f) override { f("batches", batches_); }

 private:
  std::int64_t batches_ = 0;
};

data::TensorDataset examples(std::int64_t n, std::uint64_t seed) {
  Generator g(seed);
  Tensor x = randn({n, 1, 8, 8}, g);
  Tensor y = zeros({n}, DType::i64);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t label = i % 3;
    y.mutable_data<std::int64_t>()[i] = label;
    for (std::int64_t k = 0; k < 8; ++k) x.mutable_data<float>()[i * 64 + k * 8 + 2 * label] += 1.5f;
  }
  return data::TensorDataset(x, y);
}

nn::Sequential net(Generator& g) {
  return nn::Sequential(nn::Conv2d({.in = 1, .out = 6, .kernel = 3, .padding = 1, .generator = &g}),
                        nn::BatchNorm2d({.features = 6}), nn::Relu(), nn::MaxPool2d{.kernel = 2},
                        nn::Flatten(), nn::Dropout({.p = 0.3, .generator = &g}),
                        nn::Linear({.in = 96, .out = 3, .generator = &g}));
}

/// Parameters' hash and history, bit for bit, less what a clock or the allocator measured.
std::string fingerprint(const nn::Sequential& model, const train::History& history) {
  std::string text = train::params_hash(model) + "\n" + history.stopped + "\n";
  for (const auto& [name, values] : history.columns()) {
    if (name == "seconds" || name == "images_per_second" || name.starts_with("memory_")) continue;
    text += name;
    for (double v : values) text += fmt::format(" {:a}", v);
    text += "\n";
  }
  return text;
}

struct Job {
  std::string kind;       ///< "plateau" or "schedule"
  std::string directory;  ///< of the checkpoints; "none": none are saved
  int threads = 1;
  int die_at = -1;  ///< at this call of the file system
};

std::string train_once(const Job& job) {
  par::set_num_threads(job.threads);
  Generator g(11);
  nn::Sequential model = net(g);
  train::FitOptions fit{.epochs = 15,
                        .batch_size = 8,
                        .seed = 5,
                        .metrics = {train::Accuracy()},
                        .callbacks = {Shrink()},
                        .transform = std::make_shared<const data::ImageAugmenter>(data::AugmenterOptions{
                            .rotation = 10, .width_shift = 0.1, .horizontal_flip = true, .seed = 3}),
                        .accumulate = 3,
                        .progress = false,
                        .checkpoint = {.directory = job.directory == "none" ? "" : job.directory,
                                       .every_steps = 4,
                                       .keep = 2,
                                       .resume = true,
                                       .restored = [](const train::Restored&) {}}};
  const data::TensorDataset data = examples(100, 1);
  std::unique_ptr<optim::Optimizer> optimizer;
  if (job.kind == "plateau") {
    fit.validation = examples(30, 2);
    fit.callbacks.push_back(train::EarlyStopping({.patience = 2, .restore_best_weights = true}));
    fit.callbacks.push_back(train::ReduceLROnPlateau({.factor = 0.5, .patience = 0}));
    optimizer = std::make_unique<optim::Adam>(nn::parameters(model), optim::AdamOptions{.lr = 0.06});
  } else {
    fit.validation_split = 0.2;
    fit.callbacks.push_back(train::LearningRateScheduler(
        [](std::int64_t t) { return 0.05 / (1.0 + 0.1 * static_cast<double>(t)); }, {.per_step = true}));
    optimizer =
        std::make_unique<optim::Sgd>(nn::parameters(model), optim::SgdOptions{.lr = 0.05, .momentum = 0.9});
  }
  const train::History history = train::fit(model, *optimizer, train::Loss(cross_entropy), data, fit);
  return fingerprint(model, history);
}

/// The system's calls, but the process dies at call number `die_at` of those that saving makes; a write is
/// cut in its middle.
struct Mortal {
  static inline int calls = 0, die_at = 0;
  static void count() {
    if (calls++ == die_at) ::kill(::getpid(), SIGKILL);
  }
  static const io::FileOps& table(int at) {
    static const io::FileOps& sys = io::system_file_ops();
    static io::FileOps t = sys;
    die_at = at;
    t.open = [](const char* p, int f, mode_t m) { return count(), sys.open(p, f, m); };
    t.write = [](int fd, const void* s, std::size_t n) {
      if (calls == die_at) static_cast<void>(sys.write(fd, s, n / 2));
      return count(), sys.write(fd, s, n);
    };
    t.fsync = [](int fd) { return count(), sys.fsync(fd); };
    t.close = [](int fd) { return count(), sys.close(fd); };
    t.rename = [](const char* a, const char* b) { return count(), sys.rename(a, b); };
    return t;
  }
};

/// Starts a process that trains as `job` says and leaves its fingerprint in `result`.
pid_t start(const Job& job, const std::string& result) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child != 0) return child;
  const std::string order =
      fmt::format("{} {} {} {} {}", job.kind, job.directory, job.threads, job.die_at, result);
  ::setenv("THALWEG_KILL_TEST", order.c_str(), 1);
  if (const int quiet = ::open("/dev/null", O_WRONLY); quiet >= 0) ::dup2(quiet, STDOUT_FILENO);
  ::execl("/proc/self/exe", "thalweg_tests", "--test-case=kill: the training that is killed", "--no-skip",
          nullptr);
  ::_exit(127);
}

bool was_killed(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) {
    REQUIRE(WTERMSIG(status) == SIGKILL);
    return true;
  }
  REQUIRE(WEXITSTATUS(status) == 0);
  return false;
}

std::string text_of(const std::string& path) {
  const Bytes bytes = slurp(path);
  return {bytes.begin(), bytes.end()};
}

/// What an uninterrupted training on two threads, without any checkpoints, gives.
std::string undisturbed(const std::string& kind) {
  TempDir dir;
  REQUIRE_FALSE(was_killed(start({.kind = kind, .directory = "none", .threads = 2}, dir / "result")));
  return text_of(dir / "result");
}

std::uint32_t random(std::uint64_t i, std::uint32_t n) { return philox(17, i, 99)[0] % n; }

}  // namespace

TEST_CASE("kill: the training that is killed" * doctest::skip()) {
  const char* order = std::getenv("THALWEG_KILL_TEST");
  if (order == nullptr) return;  // somebody runs the skipped cases too
  std::istringstream in(order);
  Job job;
  std::string result;
  in >> job.kind >> job.directory >> job.threads >> job.die_at >> result;
  std::string text;
  {
    const io::ScopedFileOps scoped(job.die_at < 0 ? io::system_file_ops() : Mortal::table(job.die_at));
    text = train_once(job);
  }
  put(result, bytes_of(text));
}

TEST_CASE("kill: at random moments, resumed on one thread or two, a training ends as if it had not been") {
  for (const std::string kind : {"plateau", "schedule"}) {
    CAPTURE(kind);
    const train::Stopwatch clock;
    const std::string wanted = undisturbed(kind);
    const double whole = clock.seconds();
    CHECK(contains(wanted, "EarlyStopping") == (kind == "plateau"));
    int kills = 0;
    // On a busy machine this process may sleep on while the other one trains to its end; then all of it again.
    for (int attempt = 0; attempt < 20 && kills < 3; ++attempt) {
      TempDir dir;
      kills = 0;
      for (std::uint64_t round = 0;; ++round) {
        REQUIRE(round < 400);
        const int threads = 1 + static_cast<int>(round % 2);
        const pid_t child =
            start({.kind = kind, .directory = dir / "checkpoints", .threads = threads}, dir / "result");
        // A share of what an undisturbed run takes; longer from round to round, so that it comes to an end on the
        // slowest machine.
        const double share = 0.2 + 0.01 * random(round + 1000 * static_cast<std::uint64_t>(attempt), 60);
        ::usleep(static_cast<useconds_t>(1e6 * share * whole * static_cast<double>(1 + round / 20)));
        ::kill(child, SIGKILL);
        if (!was_killed(child)) break;
        ++kills;
      }
      CHECK(text_of(dir / "result") == wanted);
    }
    CHECK(kills >= 3);
    MESSAGE(kind << ": killed " << kills << " times");
  }
}

TEST_CASE("kill: at the n-th call of the file system, a save's every stage among them") {
  const std::string wanted = undisturbed("plateau");
  TempDir dir;
  int kills = 0;
  for (int n = 0;; ++n) {
    REQUIRE(n < 200);
    // One call further each time, which is past a whole save from the tenth on; later in leaps.
    const int die_at = n < 40 ? n : 40 * (n - 39);
    const pid_t child =
        start({.kind = "plateau", .directory = dir / "checkpoints", .threads = 1 + n % 2, .die_at = die_at},
              dir / "result");
    if (!was_killed(child)) break;
    ++kills;
  }
  CHECK(kills >= 10);
  CHECK(text_of(dir / "result") == wanted);
  MESSAGE("killed " << kills << " times");
}

// train/checkpoint: what is kept, what is skipped and why, what is refused; failing calls; kill at every
// call.
#include <csignal>
#include <fstream>
#include <limits>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/safetensors_header.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/train/checkpoint.hpp>

#include "io/files.hpp"

using namespace thalweg;
using namespace thalweg::test;
using thalweg::train::Checkpoints;
using thalweg::train::Restored;

namespace {

const io::Metadata adam{{"optimizer", "Adam"}, {"batch_size", "32"}};

/// A run's state: a tensor and its step, which agree in every whole checkpoint.
struct Run {
  std::int64_t step = 0;
  Tensor w = zeros({20000});

  explicit Run(std::int64_t at = 0) { set(at); }
  void set(std::int64_t at) {
    step = at;
    w.fill_(static_cast<double>(at));
  }
  bool consistent() const {
    for (float v : w.span<float>())
      if (v != static_cast<float>(step)) return false;
    return true;
  }
  io::StateVisit visit() {
    return [this](io::StateVisitor& f) {
      f("step", step);
      f("w", w);
    };
  }
};

void save(Checkpoints& c, std::int64_t step) { c.save(step, adam, Run(step).visit()); }

void flip(const std::string& path, std::size_t at) {
  Bytes b = slurp(path);
  b[at] = static_cast<std::uint8_t>(b[at] ^ 0x10);
  put(path, b);
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("checkpoint: the newest ones stay, the newest is restored") {
  TempDir dir;
  Checkpoints c(dir / "a/b", 3);
  Run run;
  const Restored none = c.restore(adam, run.visit());
  CHECK_FALSE(none);
  CHECK(contains(none.describe(), "starting afresh"));
  for (std::int64_t s : {5, 10, 15, 20, 25}) save(c, s);
  CHECK(c.steps() == Steps{25, 20, 15});
  CHECK(c.path_of(25) == dir / "a/b/checkpoint-0000000025.safetensors");
  const Restored got = c.restore(adam, run.visit());
  CHECK(got);
  CHECK(got.step == 25);
  CHECK(run.step == 25);
  CHECK(run.consistent());
  CHECK(got.skipped.empty());
  CHECK(contains(got.describe(), "resumed from " + c.path_of(25)));
  save(c, 12'345'678'901);  // more than ten digits
  CHECK(c.steps() == Steps{12'345'678'901, 25, 20});
}

TEST_CASE("checkpoint: names that are no checkpoint's are left alone") {
  TempDir dir;
  Checkpoints c(dir.path(), 1);
  for (const char* name :
       {"checkpoint-.safetensors", "checkpoint-1.safetensors", "checkpoint-00000000001.safetensors",
        "checkpoint-00000000-1.safetensors", "checkpoint-0000000001.safetensors.old",
        "xcheckpoint-0000000001.safetensors", "notes.txt", "thalweg-mine.part.txt"})
    put(dir / name, bytes_of("x"));
  const std::size_t before = dir.entries();
  CHECK(c.steps().empty());
  save(c, 1);
  save(c, 2);
  CHECK(c.steps() == Steps{2});
  CHECK(dir.entries() == before + 1);
}

TEST_CASE("checkpoint: damaged ones are skipped and told, and never count among the newest again") {
  TempDir dir;
  Checkpoints c(dir.path(), 3);
  for (std::int64_t s : {10, 20, 30}) save(c, s);
  put(c.path_of(30), Bytes(100, 7));
  flip(c.path_of(20), 5000);
  Run run;
  const Restored got = c.restore(adam, run.visit());
  CHECK(got.step == 10);
  CHECK(run.consistent());
  REQUIRE(got.skipped.size() == 2);
  CHECK(got.skipped[0].path == c.path_of(30));
  CHECK(contains(got.skipped[1].reason, "checksum differs"));
  CHECK(contains(got.describe(), "skipped " + c.path_of(20) + ": "));
  save(c, 15);
  CHECK(c.steps() == Steps{15, 10});
  CHECK(slurp(c.path_of(30) + ".old").size() == 100);
}

TEST_CASE(
    "checkpoint: directories, unreadable files and links to nothing in a checkpoint's place are skipped") {
  TempDir dir;
  Checkpoints c(dir.path());
  save(c, 1);
  REQUIRE(::mkdir(c.path_of(2).c_str(), 0777) == 0);
  REQUIRE(::symlink("nowhere", c.path_of(3).c_str()) == 0);
  put(c.path_of(4), {});
  Run run;
  const Restored got = c.restore(adam, run.visit());
  CHECK(got.step == 1);
  REQUIRE(got.skipped.size() == 3);
  CHECK(contains(got.skipped[0].reason, "empty"));
  CHECK(contains(got.skipped[1].reason, "cannot open"));
  CHECK(contains(got.skipped[2].reason, "a directory"));
}

TEST_CASE("checkpoint: every flipped byte and every truncation is skipped") {
  TempDir dir;
  Checkpoints c(dir.path());
  std::int64_t n = 3;
  double x = 0.5;
  const auto visit = [&](io::StateVisitor& f) {
    f("n", n);
    f("x", x);
  };
  c.save(1, adam, visit);
  c.save(2, adam, visit);
  const Bytes good = slurp(c.path_of(2));
  const auto falls_back = [&](const Bytes& bytes) {
    put(c.path_of(2), bytes);
    const Restored got = c.restore(adam, visit);
    CHECK(got.step == 1);
    CHECK(got.skipped.size() == 1);
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    CAPTURE(i);
    falls_back({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(i)});
    Bytes bad = good;
    bad[i] = static_cast<std::uint8_t>(bad[i] ^ (1u << (i % 8)));
    falls_back(bad);
  }
}

TEST_CASE("checkpoint: another optimizer and a newer format are refused with both named, nothing is loaded") {
  TempDir dir;
  Checkpoints c(dir.path());
  save(c, 7);
  Run run(1);
  auto e = thrown<ValueError>([&] { c.restore({{"optimizer", "SGD"}, {"batch_size", "32"}}, run.visit()); });
  CHECK(e.given == "optimizer Adam");
  CHECK(e.wanted == "optimizer SGD");
  CHECK(contains(e.what, "other settings"));
  CHECK(contains(e.what, "test_checkpoint.cpp"));
  e = thrown<ValueError>([&] {
    c.restore({{"optimizer", "SGD"}, {"batch_size", "8"}, {"seed", "1"}}, run.visit());
  });
  CHECK(e.given == "batch_size 32, optimizer Adam, seed none");
  CHECK(run.step == 1);

  io::TensorFile file = io::load_checked(c.path_of(7));
  file.metadata["thalweg.checkpoint"] = "2";
  file.metadata["thalweg.version"] = "9.9.9";
  io::save_checked(c.path_of(8), file.tensors, file.metadata);
  const auto v = thrown<FormatError>([&] { c.restore(adam, run.visit()); });
  CHECK(contains(v.given, "2 (saved by version 9.9.9)"));
  CHECK(contains(v.wanted, "1 (this is version "));
  CHECK(run.step == 1);
  // A state file of another kind is no checkpoint either.
  io::save_state(c.path_of(8), run.visit());
  CHECK(contains(thrown<FormatError>([&] { c.restore(adam, run.visit()); }).given, "none"));
}

TEST_CASE("checkpoint: the version that is written is the project's") {
  TempDir dir;
  Checkpoints c(dir.path());
  save(c, 7);
  std::ifstream in(std::string(THALWEG_SOURCE_DIR) + "/CMakeLists.txt");
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const std::size_t at = text.find("project(thalweg VERSION ") + 24;
  CHECK(io::load_file(c.path_of(7)).metadata.at("thalweg.version") ==
        text.substr(at, text.find(' ', at) - at));
}

TEST_CASE(
    "checkpoint: a model and an optimizer come back, generators included; another model is listed whole") {
  TempDir dir;
  Checkpoints c(dir.path());
  Generator g(3);
  const auto net = [&](std::int64_t width) {
    return nn::Sequential(nn::Linear({.in = 4, .out = width, .generator = &g}),
                          nn::BatchNorm1d({.features = width}), nn::Dropout({.p = 0.5, .generator = &g}),
                          nn::Linear({.in = width, .out = 2, .generator = &g}));
  };
  struct Both {
    nn::Sequential model;
    optim::Adam adam;
    explicit Both(nn::Sequential m) : model(std::move(m)), adam(nn::parameters(model), {.lr = 0.01}) {}
    void visit(io::StateVisitor& f) {
      f.scope("model", [&](io::StateVisitor& h) { train::visit_model(h, model); });
      f.scope("optimizer", [&](io::StateVisitor& h) { adam.visit(h); });
    }
    void step(const Tensor& x) {
      adam.zero_grad();
      mean(square(model(x))).backward();
      adam.step();
    }
  };
  Both a(net(8)), b(net(8)), other(net(9));
  const Tensor x = randn({16, 4}, g);
  for (int i = 0; i < 3; ++i) a.step(x);
  c.save(3, adam, [&](io::StateVisitor& f) { a.visit(f); });
  b.step(x);
  CHECK(c.restore(adam, [&](io::StateVisitor& f) { b.visit(f); }));
  for (int i = 0; i < 3; ++i) {
    a.step(x);
    b.step(x);
  }
  const auto sa = nn::state_dict(a.model), sb = nn::state_dict(b.model);
  for (std::size_t i = 0; i < sa.size(); ++i)
    CHECK(std::memcmp(sa[i].second.view().data, sb[i].second.view().data,
                      static_cast<std::size_t>(sa[i].second.numel()) * 4) == 0);
  CHECK(nn::named_generators(a.model).at(0).second->state().offset == 6);
  CHECK(nn::named_generators(b.model).at(0).second->state().offset == 6);

  const auto e = thrown<ValueError>([&] { c.restore(adam, [&](io::StateVisitor& f) { other.visit(f); }); });
  for (const char* part : {"'model.0.weight' is f32[8,4], wanted f32[9,4]", "'model.1.running_var' is f32[8]",
                           "'optimizer.0.exp_avg' is", "nothing was loaded"})
    CHECK(contains(e.what, part));
  CHECK_FALSE(contains(e.what, "'optimizer.5."));  // the last bias has the same shape in both
}

TEST_CASE("checkpoint: a run that starts afresh sets an earlier run's aside, one earlier run only") {
  TempDir dir;
  Checkpoints c(dir.path(), 2);
  for (std::int64_t s : {100, 200}) save(c, s);
  CHECK(c.start_afresh() == 2);
  CHECK(c.steps().empty());
  CHECK(dir.entries() == 2);
  save(c, 5);
  Run run;
  CHECK(c.restore(adam, run.visit()).step == 5);
  CHECK(c.start_afresh() == 1);
  CHECK(dir.entries() == 1);
  CHECK(slurp(c.path_of(5) + ".old").size() > 1000);
  CHECK(c.start_afresh() == 0);
  CHECK(dir.entries() == 1);
}

TEST_CASE("checkpoint: bad arguments") {
  TempDir dir;
  CHECK(contains(thrown<ValueError>([&] { Checkpoints(dir.path(), 0); }).what, "keep"));
  Checkpoints c(dir.path());
  CHECK(contains(thrown<ValueError>([&] { save(c, -1); }).what, "step"));
  put(dir / "file", bytes_of("x"));
  CHECK(contains(thrown<IoError>([&] { Checkpoints(dir / "file"); }).what, "directory"));
  CHECK(contains(thrown<IoError>([&] { Checkpoints(dir / "file/below"); }).what, "directory"));
}

TEST_CASE("checkpoint: ENOSPC, EIO and short writes at every call leave a whole checkpoint, old or new") {
  TempDir dir;
  for (const int error : {ENOSPC, EIO})
    for (const std::size_t most : {std::size_t{7000}, SIZE_MAX}) {
      int failures = 0;
      for (int n = 0;; ++n) {
        Checkpoints c(dir / fmt::format("{}-{}-{}", error, most == SIZE_MAX, n), 1);
        save(c, 1);
        bool failed = false;
        {
          FaultyFiles faults({.fail_at = n, .error = error, .most_written = most, .count_clean_up = true});
          try {
            save(c, 2);
          } catch (const IoError&) {
            failed = true;
          }
        }
        Run run;
        const Restored got = c.restore(adam, run.visit());
        CHECK((got.step == 2 || (failed && got.step == 1)));
        CHECK(run.step == got.step);
        CHECK(run.consistent());
        CHECK(got.skipped.empty());
        if (!failed && FaultyFiles::failed().empty()) break;
        failures += failed ? 1 : 0;
      }
      CHECK(failures >= 8);
    }
}

namespace {

/// Passes every call on until number `die_at`, at which the process kills itself: before the call, or, for a
/// write, in its middle.
struct Suicide {
  static inline int calls = 0, die_at = 0;
  static void count() {
    if (calls++ == die_at) ::kill(::getpid(), SIGKILL);
  }
  static io::FileOps table() {
    io::FileOps t = io::system_file_ops();
    t.open = [](const char* p, int f, mode_t m) { return count(), io::system_file_ops().open(p, f, m); };
    t.stat = [](const char* p, struct stat* o) { return count(), io::system_file_ops().stat(p, o); };
    t.write = [](int fd, const void* s, std::size_t n) {
      if (calls == die_at) static_cast<void>(io::system_file_ops().write(fd, s, n / 2));
      return count(), io::system_file_ops().write(fd, s, std::min<std::size_t>(n, 30000));
    };
    t.fsync = [](int fd) { return count(), io::system_file_ops().fsync(fd); };
    t.close = [](int fd) { return count(), io::system_file_ops().close(fd); };
    t.rename = [](const char* a, const char* b) { return count(), io::system_file_ops().rename(a, b); };
    t.unlink = [](const char* p) { return count(), io::system_file_ops().unlink(p); };
    return t;
  }
};

}  // namespace

TEST_CASE(
    "checkpoint: killed at every call of a save, the run goes on from a whole one and the rests are "
    "removed") {
  int killed = 0;
  bool older = false, newer = false;
  for (int n = 0;; ++n) {
    TempDir dir;
    const auto c = std::make_unique<Checkpoints>(dir.path(), 2);
    save(*c, 1);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Suicide::calls = 0;
      Suicide::die_at = n;
      static const io::FileOps ops = Suicide::table();
      const io::ScopedFileOps scoped(ops);
      try {
        save(*c, 2);
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) {
      CHECK(WEXITSTATUS(status) == 0);
      break;
    }
    ++killed;
    Checkpoints again(dir.path(), 2);
    Run run;
    const Restored got = again.restore(adam, run.visit());
    CHECK(got.step >= 1);
    CHECK(got.skipped.empty());
    CHECK(run.step == got.step);
    CHECK(run.consistent());
    (got.step == 1 ? older : newer) = true;
    CHECK(dir.entries() == static_cast<std::size_t>(got.step));  // no half-written file is left
  }
  CHECK(killed >= 10);
  CHECK(older);
  CHECK(newer);
}

TEST_CASE("file: what a living writer has under way is no leftover") {
  TempDir dir;
  io::AtomicFile file(dir / "f");
  put(dir / "thalweg-1-1.part", bytes_of("dead"));
  CHECK(io::remove_leftovers(dir.path()) == 1);
  CHECK(io::remove_leftovers(dir / "none") == 0);
  CHECK(dir.entries() == 1);
  file.write(bytes_of("alive"));
  file.commit();
  CHECK(slurp(dir / "f") == bytes_of("alive"));
}

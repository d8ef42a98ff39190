// The parts of the mnist program that can be wrong without a training run: command line, messages, progress,
// report. Depends on the program's own sources (included, since a program cannot be linked) and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include <thalweg/autograd/tensor/factories.hpp>

#include "../../examples/common/options.cpp"
#include "../../examples/mnist/progress.cpp"
#include "../../examples/mnist/report.cpp"

namespace {

const examples::Program program{.name = "trial",
                                .about = "Trains.\n",
                                .models = {"mlp", "cnn"},
                                .data_dir = "the files",
                                .augments = true};

examples::Options parse(std::vector<const char*> words, const examples::Program& p = program) {
  words.insert(words.begin(), "trial");
  return examples::parse_options(p, static_cast<int>(words.size()), words.data());
}

std::string complaint(const std::vector<const char*>& words) {
  try {
    parse(words);
  } catch (const examples::UsageError& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("mnist: defaults and every flag") {
  const examples::Options d = parse({});
  CHECK(d.epochs == 20);
  CHECK(d.batch_size == 128);
  CHECK(d.lr == 1e-3);
  CHECK(d.threads == 0);
  CHECK_FALSE(d.quiet);
  CHECK(d.model == "mlp");
  CHECK(d.augment);
  CHECK_FALSE(d.resume);
  const examples::Options o = parse(
      {"--epochs", "3", "--batch-size=64", "--lr", "1e-2", "--seed=18446744073709551615", "--threads", "2",
       "--data-dir", "a b", "--limit=1000", "--json", "x.json", "--save", "m", "--load", "n", "--model", "cnn", "--no-augment", "--report", "r.html",
       "--checkpoints", "c", "--save-every", "5", "--quiet"});
  CHECK(o.epochs == 3);
  CHECK(o.batch_size == 64);
  CHECK(o.lr == 1e-2);
  CHECK(o.seed == 18446744073709551615u);
  CHECK(o.threads == 2);
  CHECK(o.data_dir == "a b");
  CHECK(o.limit == 1000);
  CHECK(o.json == "x.json");
  CHECK(o.save == "m");
  CHECK(o.load == "n");
  CHECK(o.model == "cnn");
  CHECK_FALSE(o.augment);
  CHECK(o.report == "r.html");
  CHECK(o.checkpoints == "c");
  CHECK(o.save_every == 5);
  CHECK(o.quiet);
  CHECK(parse({"--help"}).help);
  CHECK(parse({"-h"}).help);
}

TEST_CASE("training programs: where checkpoints go") {
  examples::Program keeps = program;
  keeps.checkpoints = true;
  CHECK(parse({}).checkpoints.empty());
  CHECK(parse({}, keeps).checkpoints == "trial-checkpoints");
  CHECK(parse({"--checkpoints", "none"}, keeps).checkpoints.empty());
  CHECK(parse({"--resume"}).checkpoints == "trial-checkpoints");
  CHECK(parse({"--save-every", "9"}).checkpoints == "trial-checkpoints");
  CHECK(complaint({"--checkpoints", "none", "--resume"}).starts_with("--checkpoints none"));
  CHECK(complaint({"--load", "x", "--resume"}).find("--load") != std::string::npos);
}

TEST_CASE("mnist: a bad value names its flag") {
  for (const char* flag : {"--epochs", "--batch-size", "--lr", "--threads", "--limit"})
    for (const char* bad : {"nan", "-1", "0", "x", "", "1x", "1e400", "inf", " 1", "0x10"}) {
      CAPTURE(flag);
      CAPTURE(bad);
      CHECK(complaint({flag, bad}).starts_with(flag));
      CHECK(complaint({(std::string(flag) + "=" + bad).c_str()}).find(std::string(flag)) !=
            std::string::npos);
    }
  CHECK(
      complaint({"--epochs", "99999999999999999999"}).starts_with("--epochs: '99999999999999999999' is not"));
  CHECK(complaint({"--seed", "-1"}).starts_with("--seed"));
  CHECK(complaint({"--threads", "257"}) == "--threads: '257' is not a whole number from 1 to 256");
  CHECK(complaint({"--lr", "nan"}) == "--lr: 'nan' is not a number above 0");
  CHECK(complaint({"--json", ""}).starts_with("--json"));
  CHECK(complaint({"--epochs"}).find("epochs") != std::string::npos);
  CHECK(complaint({"--epochs", "1", "--epochs", "2"}).find("epochs") != std::string::npos);
  CHECK(complaint({"--quiet=yes"}).find("quiet") != std::string::npos);
  CHECK(complaint({"--model", "vgg"}) == "--model: 'vgg' is not mlp or cnn");
  CHECK(complaint({"--save-every", "0"}).starts_with("--save-every"));
  CHECK(complaint({"stray"}).find("argument") != std::string::npos);
}

TEST_CASE("mnist: an unknown option names the nearest, and prefixes are not guessed") {
  CHECK(complaint({"--epoch", "1"}) == "unknown option '--epoch'; the nearest is '--epochs'");
  CHECK(complaint({"--batchsize=3"}).find("'--batch-size'") != std::string::npos);
  CHECK(complaint({"--treads", "2"}).find("'--threads'") != std::string::npos);
  CHECK(complaint({"-x"}) != "accepted");
  CHECK(examples::nearest("kitten", {"mitten", "sitting"}) == "mitten");
  CHECK(examples::nearest("", {"ab", "c"}) == "c");
  for (const char* flag : {"--epochs", "--batch-size", "--lr", "--seed", "--threads", "--data-dir", "--limit",
                           "--json", "--save", "--load", "--quiet", "--help", "--model", "--resume", "--report"})
    CHECK(examples::help_text(program).find(flag) != std::string::npos);
}

TEST_CASE("mnist: progress fits the terminal, whatever its width") {
  const mnist::Score score{0.12345, 0.98765};
  for (int width : {1, 10, 40, 80, 200}) {
    const std::string s = mnist::bar_text({.bar = true, .width = width}, 3, 20, 50, 100, score, 65);
    CHECK(static_cast<int>(s.size()) <= std::max(1, width - 1));
  }
  CHECK(mnist::bar_text({.width = 80}, 3, 20, 50, 100, score, 65) ==
        "epoch  3/20  [=========>        ]  50%  loss 0.1235  accuracy 0.9877  1:05 left");
  CHECK(mnist::bar_text({.width = 80}, 3, 20, 100, 100, score, 0).find("[==================] 100%") !=
        std::string::npos);
  CHECK(mnist::clock_text(3753) == "1:02:33");
  CHECK(mnist::clock_text(-1) == "-:--");
  CHECK(mnist::clock_text(std::nan("")) == "-:--");
}

TEST_CASE("mnist: the report is JSON, also when the loss is not a number") {
  mnist::EpochResult e{2, {0.5, 0.75}, {std::nan(""), 0.25}, 1.5};
  CHECK(
      mnist::to_json(e) ==
      R"({"event":"epoch","epoch":2,"loss":0.5,"accuracy":0.75,"val_loss":null,"val_accuracy":0.25,"seconds":1.500})");
  mnist::Result r{{0.125, 0.5}, 3, 2.25, "00ff"};
  CHECK(
      mnist::to_json(r) ==
      R"({"event":"result","test_accuracy":0.5,"test_loss":0.125,"epochs":3,"train_seconds":2.250,"params_hash":"00ff"})");
  using thalweg::from;
  const std::string hash = mnist::hash_of({from({1.f, 2.f}), from({3.f})});
  CHECK(hash.size() == 16);
  CHECK(hash == mnist::hash_of({from({1.f, 2.f}), from({3.f})}));
  CHECK(hash != mnist::hash_of({from({1.f, 2.f}), from({3.0000002f})}));
  CHECK(mnist::hash_of({}) == "cbf29ce484222325");
  CHECK_THROWS_AS(mnist::JsonFile("/no-such-directory/x"), thalweg::IoError);
  mnist::JsonFile full("/dev/full");
  CHECK_THROWS_AS(full.line("{}"), thalweg::IoError);
}

// The command line of the training programs. Depends on their own source (included, since a program cannot be
// linked) and doctest.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../../examples/common/options.cpp"

namespace {

const examples::Program program{.name = "trial",
                                .data = "Trial",
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

TEST_CASE("training programs: defaults and every flag") {
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

TEST_CASE("training programs: a bad value names its flag") {
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

TEST_CASE("training programs: an unknown option names the nearest, and prefixes are not guessed") {
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

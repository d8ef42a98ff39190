// Depends on run.hpp, train, optim, fmt, POSIX (access, sigaction).
#include "run.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iostream>

#include <unistd.h>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/optim/adam.hpp>
#include <thalweg/train/report_run.hpp>
#include <thalweg/train/train.hpp>

namespace examples {
namespace {

using namespace thalweg;

volatile std::sig_atomic_t interrupted = 0;

/// The first Ctrl-C asks the training to end after its step; a second one ends the program as usual.
void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
}

/// A place that cannot be written to is better known before the training than after it.
void check_writable(const char* flag, const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  if (!path.empty() && access(directory.empty() ? "." : directory.c_str(), W_OK) != 0)
    throw_error<IoError>({.op = flag, .arg = path, .what = std::strerror(errno)});
}

void introduce(Task& task, const train::FitOptions& fit) {
  const std::int64_t n = task.train->size();
  const std::int64_t held = fit.validation ? 0 : data::split_last(task.train, fit.validation_split).second.size();
  std::cout << nn::summary(task.model, task.input);
  fmt::print("{} images to train on, {} to validate{}, {} to test, from {}\n", n - held,
             fit.validation ? (*fit.validation)->size() : held, fit.validation ? " (those of the test)" : "",
             task.test->size(), task.source);
  std::fflush(stdout);
}

/// The article's training: early stopping, and a rate that falls when val_loss stands still.
train::FitOptions fit_options(const Options& options, const Task& task, std::uint64_t seed) {
  train::FitOptions fit{.epochs = options.epochs,
                        .batch_size = options.batch_size,
                        .seed = seed,
                        .drop_last = task.drop_last,
                        .validation_split = task.validation_split,
                        .validation_batch_size = 500,
                        .metrics = {train::Accuracy()},
                        .callbacks = {train::EarlyStopping({.monitor = "val_loss", .patience = 3}),
                                      train::ReduceLROnPlateau({.monitor = "val_loss", .factor = 0.1, .patience = 2})},
                        .transform = task.transform,
                        .progress = !options.quiet,
                        .stop = [] { return interrupted != 0; }};
  if (task.validation_split == 0) fit.validation = task.test;
  if (!options.json.empty()) fit.callbacks.push_back(train::JsonLogger(options.json));
  fit.checkpoint = {.directory = options.checkpoints,
                    .every_steps = options.save_every,
                    .every_seconds = options.save_every > 0 ? 0.0 : 2.0,
                    .resume = options.resume,
                    .settings = {{"--model", options.model},
                                 {"--lr", fmt::format("{}", options.lr)},
                                 {"--seed", fmt::format("{}", options.seed)}}};
  return fit;
}

/// What the report says above its curves.
train::RunReport page_of(const Program& program, const Options& options, Task& task) {
  std::string model = options.model;
  for (char& c : model) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  train::RunReport page{.title = fmt::format("{} on {}", model, program.data),
                        .date = train::utc_text(std::time(nullptr)),
                        .facts = {{"Data", task.source},
                                  {"Seed", fmt::format("{}", options.seed)},
                                  {"Batch size", fmt::format("{}", options.batch_size)},
                                  train::machine_fact()}};
  page.model = nn::summary(task.model, task.input);
  return page;
}

/// The finished page: curves, results, the test images' confusion matrix and worst mistakes.
void write_page(const Options& options, Task& task, train::RunReport page, const train::History& history,
                const train::Logs& test, const std::string& hash) {
  const train::RunReport run = train::report_of(history);
  page.series = run.series;
  page.first_epoch = run.first_epoch;
  page.seconds = run.seconds;
  page.stopped = run.stopped;
  page.results = {{"test_accuracy", test.at("accuracy")}, {"test_loss", test.at("loss")}};
  page.facts.push_back({"Hash of the parameters", hash});
  train::add_examples(page, task.model, task.test,
                      {.classes = task.classes, .batch_size = 500, .image = task.picture});
  train::write_report(options.report, page);
}

std::string result_json(const train::Logs& test, const train::History& history, const std::string& hash) {
  return fmt::format(
      R"({{"event":"result","test_accuracy":{},"test_loss":{},"epochs":{},"train_seconds":{:.3f},"params_hash":"{}"}})",
      train::json_number(test.at("accuracy")), train::json_number(test.at("loss")), history.epochs(), history.seconds,
      hash);
}

int run(const Program& program, const Options& options,
        const std::function<Task(const Options&, Generator&)>& make) {
  check_writable("--save", options.save);
  check_writable("--report", options.report);
  if (options.threads > 0) par::set_num_threads(options.threads);
  Generator generator(options.seed);
  Task task = make(options, generator);
  if (!options.load.empty()) train::load_weights(task.model, options.load);
  train::FitOptions fit = fit_options(options, task, nn::derive_seed(&generator));
  const train::RunReport page = page_of(program, options, task);
  if (!options.report.empty()) fit.callbacks.push_back(train::HtmlReport(options.report, {.page = page}));
  if (!options.quiet) introduce(task, fit);

  catch_interrupt();
  const train::Loss loss(cross_entropy);
  optim::Adam adam(nn::parameters(task.model), {.lr = options.lr});
  const train::History history = train::fit(task.model, adam, loss, task.train, fit);
  if (interrupted) fmt::print(stderr, "{}: interrupted; testing what was learned so far\n", program.name);

  const train::Logs test =
      train::evaluate(task.model, loss, task.test, {.batch_size = 500, .metrics = {train::Accuracy()}});
  const std::string hash = train::params_hash(task.model);
  if (!options.json.empty()) train::LineFile(options.json, "--json", true).line(result_json(test, history, hash));
  fmt::print("test loss {:.4f}  test accuracy {:.4f}  ({} epochs in {:.1f} s, parameters {})\n", test.at("loss"),
             test.at("accuracy"), history.epochs(), history.seconds, hash);
  if (!options.report.empty()) write_page(options, task, page, history, test, hash);
  if (!options.save.empty()) io::save(options.save, nn::state_dict(task.model));
  return interrupted ? 130 : 0;
}

}  // namespace

data::TensorDataset image_set(const Tensor& pixels, const Tensor& labels, const Dims& shape, std::int64_t limit) {
  const std::int64_t n = limit > 0 ? std::min(limit, labels.size(0)) : labels.size(0);
  Dims all{n};
  for (const std::int64_t d : shape) all.push_back(d);
  return data::TensorDataset(slice(pixels, 0, 0, n).reshape(all), slice(labels, 0, 0, n).to(DType::i64),
                             {.unit = true});
}

int run_program(const Program& program, int argc, const char* const* argv,
                const std::function<Task(const Options& options, Generator& generator)>& make) {
  try {
    const Options options = parse_options(program, argc, argv);
    if (!options.help) return run(program, options, make);
    std::cout << help_text(program);
    return 0;
  } catch (const UsageError& e) {
    fmt::print(stderr, "{}: {}\n", program.name, e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", program.name, e.what());
    return 1;
  }
}

}  // namespace examples

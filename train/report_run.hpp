// What a report says of a run: from its history, and from the model's predictions on examples. HtmlReport: a
// callback that does it all. Depends on train/report, train/callback, train/evaluate.
// Invariant: the run's numbers are only read; a model is asked in evaluation mode and left as it was.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include <thalweg/data/dataset.hpp>
#include <thalweg/train/callback.hpp>
#include <thalweg/train/evaluate.hpp>
#include <thalweg/train/report.hpp>

namespace thalweg::train {

/// The curves of a training, how long it took and why it ended: series, first_epoch, seconds, stopped.
RunReport report_of(const History& history);

struct ExampleOptions {
  std::vector<std::string> classes{};  ///< their names in order; a class without one is shown by its number
  std::int64_t worst = 24;             ///< mistakes to show
  std::int64_t batch_size = 128;
  bool probabilities = false;  ///< the model gives probabilities, not scores
  Dims image{};  ///< [channels, height, width] of an example, where the data hold it as something else
};

namespace detail {
void add_examples(RunReport& report, nn::ModuleRef model, const data::DatasetRef& data,
                  const ExampleOptions& options, Loc loc);
}

/// Lets the model classify all of `data` and puts the confusion matrix and the worst mistakes (the largest
/// -log p of the given class; equal ones in the data's order) into the report. Outputs are [n, classes], or
/// one number an example, [n] or [n, 1], for two classes; targets class numbers (below 0: left out) or as
/// many columns as the outputs. Mistakes are shown if their inputs are pictures: [H, W] or [C, H, W] with 1
/// or 3 channels, u8 or floating: from 0 to 1, else spread from their least to their largest value. Throws
/// ShapeError, DTypeError (outputs, targets), IndexError (a target that is no class), ValueError (no
/// examples, worst < 0).
template <class M>
void add_examples(RunReport& report, M& model, const data::DatasetRef& data,
                  const ExampleOptions& options = {}, Loc loc = Loc::here()) {
  detail::add_examples(report, detail::model_ref(model), data, options, loc);
}

/// "2026-11-23 04:00 UTC"
std::string utc_text(std::time_t time);

/// The processor and the number of threads.
Fact machine_fact();

struct HtmlReportOptions {
  RunReport page{};  ///< title, date, facts, model's summary; the run's numbers are put in
  std::optional<data::DatasetRef>
      examples{};  ///< on which the confusion matrix and the mistakes are, at the end
  ExampleOptions example_options{};
};

/// Writes the page after every epoch and, with the examples, at the end. Give it after EarlyStopping, so that
/// the end finds the weights that are kept.
class HtmlReport final : public Callback {
 public:
  explicit HtmlReport(std::string path, HtmlReportOptions options = {}, Loc loc = Loc::here())
      : path_(std::move(path)), options_(std::move(options)), loc_(loc) {}
  std::string name() const override { return "HtmlReport"; }
  /// Throws IoError, as on_train_end().
  void on_epoch_end(Training& t) override;
  void on_train_end(Training& t) override;

 private:
  RunReport page(const History& history) const;

  std::string path_;
  HtmlReportOptions options_;
  Loc loc_;
};

}  // namespace thalweg::train

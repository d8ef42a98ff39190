// RunReport: one training run as a page that people look at: a single HTML file with nothing from elsewhere.
// Depends on base, io/file, nn/summary. Invariant: the page is a function of the RunReport alone (dates and
// times are passed in), and no text in it, whatever its bytes, can break out of where it stands.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <thalweg/nn/summary.hpp>

namespace thalweg::train {

/// A line of the run's facts: {"Machine", "2 cores, AVX2"}.
struct Fact {
  std::string name;
  std::string value;
};

/// One number for each epoch. NaN and infinities are drawn as gaps and written as what they are.
struct Series {
  std::string name;  ///< as fit() logs it; "val_x" shares a chart with "x"
  std::vector<double> values{};
};

/// How often each class was taken for each other.
struct Confusion {
  std::vector<std::string> classes{};
  std::vector<std::int64_t> counts{};  ///< [classes, classes] row by row: a row for each given class

  std::int64_t count(std::size_t given, std::size_t predicted) const {
    return counts[given * classes.size() + predicted];
  }
};

/// Pixels from 0 to 255, channel by channel, row by row: [channels, height, width] with 1 or 3 channels.
struct Picture {
  std::int64_t channels = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels{};
};

/// An example that the model took for something else.
struct Mistake {
  Picture picture{};
  std::string given{}, predicted{};
  double probability = 0;   ///< what the model gave to `predicted`
  double loss = 0;          ///< -log of what it gave to `given`
  std::int64_t index = -1;  ///< its number in the data set; below 0 it is not shown
};

/// Everything a report shows. Whatever is empty is left out of the page.
struct RunReport {
  std::string title = "Training run";
  std::string subtitle{};  ///< "VGGNet on CIFAR-10"
  std::string date{};      ///< as it shall be read: "2026-11-23 04:00 UTC"
  std::string stopped{};   ///< why the run ended before its last epoch
  /// Figures after training, the most important first: {"test_accuracy", 0.8731}, {"test_loss", 0.41}.
  std::vector<std::pair<std::string, double>> results{};
  /// The numbers of all epochs. These names have a meaning of their own: "lr", "seconds" (of an epoch),
  /// "images_per_second", "memory_live" and "memory_peak" (bytes).
  std::vector<Series> series{};
  std::int64_t first_epoch = 1;  ///< the number of the first value
  /// The series that says which epoch was best; empty: val_loss, else loss.
  std::string monitor{};
  bool higher_is_better = false;  ///< of the monitor
  double seconds = 0;             ///< of the whole training; 0: the sum of the epochs' seconds
  std::vector<Fact> facts{};      ///< machine, command, seed, hash of the parameters
  nn::Summary model{};
  Confusion confusion{};
  std::vector<Mistake> mistakes{};  ///< the worst first
};

/// The page: charts as inline SVG with a table of their numbers, pictures as PNG data, light and dark by the
/// reader's preference, nothing loaded, usable without its script. Throws ValueError for a confusion matrix
/// that is not [classes, classes] of counts >= 0 and for a picture whose pixels do not fit its dimensions.
std::string to_html(const RunReport& report);

/// Writes the page to `path`, atomically. Throws IoError, and what to_html throws.
void write_report(const std::string& path, const RunReport& report);

}  // namespace thalweg::train

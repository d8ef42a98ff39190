// Chart: numbers by epoch as an inline SVG that keeps its text size at any width. Depends on svg_axis, html.
// Invariant: every x is a percentage of the width and every y a pixel, so nothing is stretched; lines differ
// by dash as well as by colour. Colours come from the page's style sheet (classes s0, s1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <thalweg/train/svg_axis.hpp>

namespace thalweg::train::svg {

struct Line {
  std::string name;              ///< at the line's end: "validation"
  std::vector<double> values{};  ///< one an epoch; not finite: a gap
  bool dashed = false;
};

struct Chart {
  std::string title;
  std::vector<Line> lines{};  ///< the first is the one that matters: drawn on top
  std::int64_t first_epoch = 1;
  std::int64_t epochs = 0;  ///< values that do not reach so far end early
  Scale scale = Scale::automatic;
  bool steps = false;                  ///< values hold for an epoch, as learning rates do
  bool area = false;                   ///< shaded down to the axis
  std::string unit{};                  ///< after the numbers: "%", " MiB"
  std::optional<std::int64_t> best{};  ///< the epoch to mark, counted from 0
  double height = 200;                 ///< of the plot, in pixels
  std::string note{};                  ///< beside the title, until the pointer shows an epoch
};

/// The chart as a <figure>. Under the pointer, each epoch shows its numbers.
std::string draw(const Chart& chart);

}  // namespace thalweg::train::svg

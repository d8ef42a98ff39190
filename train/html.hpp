// Text for a page: escaping, and numbers as people read them. Depends on io/file (UTF-8).
// Invariant: what comes out holds no character that means something in HTML.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace thalweg::train::html {

/// `text` for use between tags and in quoted attributes: & < > " ' as entities; bytes that are not UTF-8 and
/// control characters other than tab and line feed as U+FFFD.
std::string escape(std::string_view text);

/// Four significant digits: "0.4123", "12.35", "9,236,618", "3.2e-5", "NaN", "Inf", "−Inf".
std::string number(double v);
/// The same without zeros at the end: "0.001".
std::string compact(double v);
/// `v` with `decimals` digits after the point; NaN and infinities as in number().
std::string fixed(double v, int decimals);
/// A share as a percentage, "87.31%".
std::string percent(double v, int decimals = 2);
/// "9,236,618"
std::string thousands(std::int64_t n);
/// "12.3 s", "3 min 05 s", "2 h 14 min", "3 d 4 h"
std::string duration(double seconds);
/// "val_top_5_accuracy" as "Validation top 5 accuracy", "lr" as "Learning rate"
std::string label(std::string_view name);
/// Whether a figure of this name is a share that is read as a percentage: accuracies.
bool is_share(std::string_view name);
/// `v` as a figure of this name is written.
std::string figure(std::string_view name, double v);

}  // namespace thalweg::train::html

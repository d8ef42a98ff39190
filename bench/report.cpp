// The three forms of a report. Depends on report.hpp, limits.hpp, fmt.
#include "report.hpp"

#include <ctime>
#include <fstream>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <thalweg/ops/kernels/simd/targets.hpp>

#include "limits.hpp"

namespace bench {
namespace {

/// 12.3 ns, 4.56 us, 789 ms: three digits.
std::string time_text(double s) {
  if (s <= 0) return "";
  const auto digits = [](double v, const char* unit) { return fmt::format("{:.{}f} {}", v, v < 10 ? 2 : v < 100 ? 1 : 0, unit); };
  if (s < 1e-6) return digits(s * 1e9, "ns");
  if (s < 1e-3) return digits(s * 1e6, "us");
  return digits(s * 1e3, "ms");
}

std::string value_text(const Row& row, double v) {
  if (v <= 0) return "";
  return row.unit == "s" ? time_text(v) : fmt::format("{:.{}f} {}", v, v < 10 ? 2 : 0, row.unit);
}

/// What the row's work comes to per second.
std::string rate_text(const Row& row) {
  if (row.work.flops > 0 && row.work.flops / 8 > row.work.read + row.work.written)
    return fmt::format("{:.0f} GFLOP/s", row.work.flops / row.median * 1e-9);
  const double bytes = row.work.read + row.work.written;
  return bytes > 0 && !row.work.overhead ? fmt::format("{:.1f} GB/s", bytes / row.median * 1e-9) : "";
}

std::string goal_text(const Row& row) {
  if (row.goal <= 0) return "";
  return fmt::format("{} {}", row.goal_text.empty() ? (row.more_is_better ? ">= " : "<= ") + value_text(row, row.goal) : row.goal_text,
                     row.goal_met() ? "met" : "MISSED");
}

std::string percent(double v) { return v > 0 ? fmt::format("{:.0f} %", v * 100) : ""; }
std::string ratio_text(const Row& row) { return row.peer_median > 0 ? fmt::format("{:.2f}", row.ratio()) : ""; }
std::string peer_text(const Row& row) {
  if (row.peer_median <= 0) return "";
  const std::string value = value_text(row, row.peer_median);
  return row.peer_threads > 0 ? fmt::format("{} ({})", value, row.peer_threads) : value;
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

std::string quoted(const std::string& s) {
  std::string q = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') q += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) q += c;
  }
  return q + '"';
}

/// The unit of a row's figures in JSON, and what a figure is multiplied with to be in it.
std::pair<const char*, double> json_unit(const Row& row) {
  return row.unit == "s" ? std::pair{"us", 1e6} : std::pair{row.unit.c_str(), 1.0};
}

std::string number(double v) { return v > 0 ? fmt::format("{:.6g}", v) : "null"; }

}  // namespace

Machine this_machine() {
  Machine m;
  m.cpu = cpu_name();
  m.instruction_set = thalweg::simd::target_name(thalweg::simd::current_target());
  m.compiler = fmt::format("{} {}",
#ifdef __clang__
                           "clang", __clang_version__
#else
                           "g++", __VERSION__
#endif
  );
  m.date = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
  return m;
}

void measure_machine(Machine& m) {
  constexpr double large = 1 << 28;  // bytes: far beyond the caches
  m.flops = peak_flops(m.threads);
  m.flops_one = peak_flops(1);
  m.read = large / stream_seconds(large, 0, m.threads);
  m.copy = large / stream_seconds(large / 2, large / 2, m.threads);
}

void print_heading(const Machine& m) {
  fmt::print("{}, {}, {} threads, {}, {}\n", m.cpu, m.instruction_set, m.threads, m.compiler, m.date);
  fmt::print("limits measured: {:.0f} GFLOP/s ({:.0f} on one thread), reading {:.1f} GB/s, copying {:.1f} GB/s (read and written)\n",
             m.flops * 1e-9, m.flops_one * 1e-9, m.read * 1e-9, m.copy * 1e-9);
  if (!m.peer.empty()) fmt::print("beside {}: median (threads at which it is fastest), ratio = its time / ours\n", m.peer);
}

void print_row(const Row& row, std::string& group) {
  if (row.group != group) {
    group = row.group;
    fmt::print("\n{:<48}{:>10}{:>10}{:>8}{:>14}{:>14}{:>7}\n", group, "ours", "limit", "of it", "rate", "peer", "ratio");
  }
  fmt::print("{:<48}{:>10}{:>10}{:>8}{:>14}{:>14}{:>7}", row.name, value_text(row, row.median), value_text(row, row.limit),
             percent(row.of_limit()), rate_text(row), peer_text(row), ratio_text(row));
  const std::string goal = goal_text(row);
  if (!goal.empty()) fmt::print("  {}", goal);
  fmt::print("\n");
  std::fflush(stdout);
}

void print_ratios(const std::vector<Row>& rows) {
  constexpr double level = 0.95;
  std::string below;
  fmt::print("\n{:<48}{:>7}  ratios of all passes\n", "median of the passes", "ratio");
  for (const Row& row : rows) {
    if (row.ratios.empty()) continue;
    const std::string line = fmt::format("{:<48}{:>7}  {:.2f}\n", row.name, ratio_text(row), fmt::join(row.ratios, " "));
    fmt::print("{}", line);
    if (row.ratio() < level) below += line;
  }
  fmt::print("\n{}{}", below.empty() ? "no row has a median ratio below 0.95\n" : "median ratio below 0.95:\n", below);
}

std::string as_json(const Machine& m, const std::vector<Row>& rows) {
  std::string s = fmt::format(
      "{{\"machine\":{{\"cpu\":{},\"instruction_set\":{},\"threads\":{},\"compiler\":{},\"date\":{},\"command\":{},"
      "\"peer\":{},\"gflops\":{:.1f},\"gflops_one_thread\":{:.1f},\"read_gbs\":{:.1f},\"copy_gbs\":{:.1f}}},\n\"rows\":[",
      quoted(m.cpu), quoted(m.instruction_set), m.threads, quoted(m.compiler), quoted(m.date), quoted(m.command),
      m.peer.empty() ? "null" : quoted(m.peer), m.flops * 1e-9, m.flops_one * 1e-9, m.read * 1e-9, m.copy * 1e-9);
  const char* comma = "\n";
  for (const Row& row : rows) {
    const auto [unit, scale] = json_unit(row);
    s += fmt::format("{}{{\"name\":{},\"group\":{},\"unit\":\"{}\",\"median\":{},\"limit\":{},\"of_limit\":{},"
                     "\"peer_median\":{},\"ratio\":{},\"peer_threads\":{},\"goal\":{}}}",
                     comma, quoted(row.name), quoted(row.group), unit, number(row.median * scale), number(row.limit * scale),
                     number(row.of_limit()), number(row.peer_median * scale), number(row.ratio()),
                     row.peer_threads ? std::to_string(row.peer_threads) : "null", number(row.goal * scale));
    comma = ",\n";
  }
  return s + "\n]}\n";
}

namespace {

std::string markdown_heading(const Machine& m) {
  return fmt::format(
      "# Performance\n\nWritten by `{}` on {}; do not edit: run it again.\n\n"
      "| machine | |\n|---|---|\n| processor | {}, {}, {} threads |\n| compiler | {} |\n"
      "| multiply-adds | {:.0f} GFLOP/s, {:.0f} on one thread |\n| memory | reading {:.1f} GB/s, copying {:.1f} GB/s (read and written) |\n"
      "| beside | {} |\n\n"
      "Every figure is a median of one run in which ours and the peer's batches take turns; the peer has the number of threads (in\n"
      "brackets) at which it is fastest. The limit is what this machine needs at least, measured in the same run: the larger of the\n"
      "arithmetic at the peak of multiply-adds and the bytes of inputs, outputs and saved values at the speed of an empty copy of that\n"
      "footprint; where a row is too small for either, it is the engine's cheapest op. Ratio: the peer's time / ours.\n\n"
      "A row `+backward` is what training does, on both sides: the op, then backward() into the leaves' gradients, which are dense and\n"
      "the leaves' own, and then dropped. Its seed, the gradient of the op's output, is cloned for each call and given up to it, so\n"
      "that clone is within both times.\n",
      m.command, m.date, m.cpu, m.instruction_set, m.threads, m.compiler, m.flops * 1e-9, m.flops_one * 1e-9, m.read * 1e-9,
      m.copy * 1e-9, m.peer.empty() ? "nothing" : m.peer);
}

std::string markdown_row(const Row& row) {
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", row.name, value_text(row, row.median), value_text(row, row.limit),
                     percent(row.of_limit()), rate_text(row), peer_text(row), ratio_text(row), goal_text(row));
}

}  // namespace

std::string as_markdown(const Machine& m, const std::vector<Row>& rows, const std::map<std::string, std::string>& notes) {
  std::string s = markdown_heading(m), group, explained, alone;
  for (const Row& row : rows) {
    if (row.group != group) {
      group = row.group;
      const auto note = notes.find(group);
      const std::string below = note == notes.end() ? "" : note->second + "\n\n";
      s += fmt::format("\n## {}\n\n{}| row | ours | limit | of it | rate | peer (threads) | ratio | goal |\n|---|---|---|---|---|---|---|---|\n", group, below);
    }
    s += markdown_row(row);
    if (const auto note = notes.find(row.name); note != notes.end()) explained += fmt::format("- **{}**: {}\n", row.name, note->second);
    if (!row.note.empty() && row.peer_median == 0) alone += fmt::format("- {}: {}\n", row.name, row.note);
  }
  if (!explained.empty()) s += "\n## Why a row stays below its limit\n\n" + explained;
  if (!alone.empty() && !m.peer.empty()) s += "\n## Rows without a twin\n\n" + alone;
  return s;
}

std::map<std::string, std::string> read_notes(const std::string& path) {
  std::map<std::string, std::string> notes;
  std::ifstream in(path);
  std::string* last = nullptr;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == ' ' && last) {
      *last += "\n" + line.substr(line.find_first_not_of(' '));
    } else if (const std::size_t colon = line.find(": "); colon != std::string::npos) {
      last = &(notes[line.substr(0, colon)] = line.substr(colon + 2));
    }
  }
  return notes;
}

}  // namespace bench

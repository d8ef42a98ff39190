// certify [OP...]: runs every axis on every op, or on those named, and prints the table. Depends on the
// harness, the registry, Program_options, fmt. Invariant: exit status 0 all passed, 1 something failed, 2 the
// command line makes no sense.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>

#include <fmt/format.h>
#include <boost/program_options.hpp>

#include <thalweg/check/certify.hpp>
#if __has_include(<thalweg/check/mutants.hpp>)
#include <thalweg/check/mutants.hpp>
#define THALWEG_HAS_MUTANTS 1
#endif
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/registry.hpp>

namespace {

using namespace thalweg;

/// The share of mutants that a run over all ops must catch.
constexpr double least_mutation_score = 0.95;

namespace po = boost::program_options;

struct Settings {
  std::vector<const OpInfo*> ops;
  check::Options options;
  std::string json, reference;
  int threads = 0;
  bool mutants = false;
};

/// What the command line got wrong, in one line.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row.back();
}

template <class Names>
std::string nearest(std::string_view word, const Names& names) {
  std::string best;
  std::size_t distance = word.size() / 2 + 2;
  for (const auto& name : names)
    if (const std::size_t d = edit_distance(word, name); d < distance) distance = d, best = name;
  return best.empty() ? "" : fmt::format("; did you mean \"{}\"?", best);
}

po::options_description make_options() {
  po::options_description d("certify [OP...] [options]: tries every operator on every axis");
  d.add_options()("quick", "fewer samples: all ops in seconds")("full", "many samples and larger Jacobians")(
      "json", po::value<std::string>()->value_name("FILE"), "write the results as JSON")(
      "threads", po::value<std::string>()->value_name("N"), "threads of the kernels, 1 to 256")(
      "reference", po::value<std::string>()->value_name("FILE"),
      "write the operator reference and do nothing else")(
      "mutants", "with --quick: also corrupt every derivative and count what is caught (else always done)")(
      "help", "print this");
  return d;
}

Settings parse(int argc, char** argv) {
  const po::options_description visible = make_options();
  po::options_description all = visible;
  all.add_options()("op", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("op", -1);
  po::variables_map given;
  try {
    const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(argc, argv).options(all).positional(positional).style(style).run(),
              given);
  } catch (const po::unknown_option& e) {
    std::vector<std::string> names;
    for (const auto& o : visible.options()) names.push_back("--" + o->long_name());
    throw UsageError(
        fmt::format("unknown option {}{}", e.get_option_name(), nearest(e.get_option_name(), names)));
  } catch (const po::error& e) {
    throw UsageError(e.what());
  }
  if (given.count("help")) {
    std::cout << visible << "\nAxes:";
    for (check::Axis a : check::all_axes()) fmt::print(" {} {}", static_cast<int>(a), check::axis_name(a));
    fmt::print("\n");
    std::exit(0);
  }
  Settings s;
  if (given.count("quick") && given.count("full")) throw UsageError("--quick and --full exclude each other");
  s.options.tier = given.count("quick")  ? check::Tier::quick
                   : given.count("full") ? check::Tier::full
                                         : check::Tier::standard;
  s.mutants = given.count("mutants") > 0 || s.options.tier != check::Tier::quick;
  if (given.count("json")) s.json = given["json"].as<std::string>();
  if (given.count("reference")) s.reference = given["reference"].as<std::string>();
  if (given.count("threads")) {
    const std::string& text = given["threads"].as<std::string>();
    char* end = nullptr;
    const long n = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || n < 1 || n > 256)
      throw UsageError(fmt::format("--threads is \"{}\", wanted 1 to 256", text));
    s.threads = static_cast<int>(n);
  }
  if (given.count("op")) {
    std::vector<std::string> names;
    for (const OpInfo& op : registry()) names.emplace_back(op.name());
    for (const std::string& name : given["op"].as<std::vector<std::string>>()) {
      const OpInfo* op = find_op(name);
      if (!op) throw UsageError(fmt::format("no op is called \"{}\"{}", name, nearest(name, names)));
      s.ops.push_back(op);
    }
  } else {
    for (const OpInfo& op : registry()) s.ops.push_back(&op);
  }
  return s;
}

// ---- output ----

/// One line on a terminal's stderr, rewritten for each op; nothing elsewhere.
class Progress {
 public:
  explicit Progress(std::size_t total) : total_(total), on_(isatty(STDERR_FILENO) != 0) {}
  void step(const char* what) {
    if (on_) fmt::print(stderr, "\r\x1b[K{}/{} {}", ++done_, total_, what), std::fflush(stderr);
  }
  void clear() const {
    if (on_) fmt::print(stderr, "\r\x1b[K"), std::fflush(stderr);
  }

 private:
  std::size_t total_, done_ = 0;
  bool on_;
};

void print_heading() {
  std::string tens, ones;
  for (check::Axis a : check::all_axes()) {
    const int n = static_cast<int>(a);
    tens += n < 10 ? ' ' : static_cast<char>('0' + n / 10);
    ones += static_cast<char>('0' + n % 10);
  }
  fmt::print("{:<24} {}\n{:<24} {}  {:>8} {:>9}\n", "", tens, "axis", ones, "samples", "seconds");
}

void print_row(const check::Report& r) {
  std::string marks;
  for (check::Axis a : check::all_axes()) marks += check::outcome_mark(r[a].outcome);
  fmt::print("{:<24} {}  {:>8} {:>9.3f}\n", r.op, marks, r.samples(), r.seconds);
  std::fflush(stdout);
}

/// Which axes were left out, for what reason, and where; and which bounds a row widens.
void print_exceptions(const std::vector<check::Report>& reports, const std::vector<const OpInfo*>& ops) {
  std::vector<std::pair<std::string, std::string>> reasons;
  for (const check::Report& r : reports)
    for (check::Axis a : check::all_axes()) {
      if (r[a].outcome != check::Outcome::not_applicable) continue;
      const std::string key = fmt::format("{}: {}", check::axis_name(a), r[a].message);
      auto at = std::find_if(reasons.begin(), reasons.end(), [&](const auto& e) { return e.first == key; });
      if (at == reasons.end()) at = reasons.insert(reasons.end(), {key, ""});
      at->second += " " + r.op;
    }
  std::sort(reasons.begin(), reasons.end());
  fmt::print("\nLeft out (-):\n");
  for (const auto& [why, names] : reasons) {
    const auto count = std::count(names.begin(), names.end(), ' ');
    if (count > 8)
      fmt::print("  {} ({} ops)\n", why, count);
    else
      fmt::print("  {}:{}\n", why, names);
  }
  std::string wide;
  for (const OpInfo* op : ops)
    if (op->pointwise() && (op->row->ulp_f32 > 4 || op->row->ulp_f64 > 4 || op->row->error_floor > 0))
      wide +=
          fmt::format("  {}: {} ulp f32, {} ulp f64{}: {}\n", op->name(), op->row->ulp_f32, op->row->ulp_f64,
                      op->row->error_floor > 0 ? fmt::format(" of max(|y|, {})", op->row->error_floor) : "",
                      op->row->note);
  if (!wide.empty()) fmt::print("Bounds above 4 ulp:\n{}", wide);
}

std::string quoted(std::string_view text) {
  std::string s = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      s += '\\', s += c;
    else if (c == '\n')
      s += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20)
      s += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      s += c;
  }
  return s + '"';
}

std::string json_of(const std::vector<check::Report>& reports, const check::MutationScore& score) {
  constexpr const char* outcomes[] = {"not_run", "passed", "failed", "not_applicable"};
  std::string s = "{\"ops\":[";
  for (const check::Report& r : reports) {
    s += fmt::format("{}{{\"name\":{},\"axes\":{{", &r == &reports.front() ? "" : ",\n", quoted(r.op));
    bool first = true;
    for (check::Axis a : check::all_axes()) {
      s += fmt::format("{}{}:{}", first ? "" : ",", quoted(check::axis_name(a)),
                       quoted(outcomes[static_cast<int>(r[a].outcome)]));
      first = false;
    }
    s += fmt::format("}},\"samples\":{},\"seconds\":{:.6f}}}", r.samples(), r.seconds);
  }
  s += fmt::format("],\n\"mutants\":{{\"made\":{},\"caught\":{},\"survivors\":[", score.made, score.caught);
  for (std::size_t i = 0; i < score.survivors.size(); ++i) s += (i ? "," : "") + quoted(score.survivors[i]);
  return s + "]}}\n";
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();  // a full disk shows here at the latest
  if (!out) throw UsageError(fmt::format("cannot write {}", path));
}

int run(const Settings& s) {
  if (!s.reference.empty()) {
    write_file(s.reference, check::op_reference(registry()));
    return 0;
  }
  if (s.threads > 0) par::set_num_threads(s.threads);
  const auto start = std::chrono::steady_clock::now();
  std::vector<check::Report> reports;
  Progress progress(s.ops.size());
  print_heading();
  for (const OpInfo* op : s.ops) {
    progress.step(op->name());
    reports.push_back(check::certify(*op, s.options));
    progress.clear();
    print_row(reports.back());
  }
  print_exceptions(reports, s.ops);
  std::size_t failed = 0;
  for (const check::Report& r : reports)
    if (!r.ok()) ++failed, fmt::print("\n{}", r.failures());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("\n{} of {} ops passed in {:.1f} s\n", reports.size() - failed, reports.size(), seconds);
  check::MutationScore score;
  if (s.mutants) {
#ifdef THALWEG_HAS_MUTANTS
    const check::MutantReport mutants = check::mutate(s.ops, s.options);
    score = mutants;
    fmt::print("\n{}", check::mutant_table(mutants));
#else
    throw UsageError("this build has no mutants");
#endif
  }
  if (!s.json.empty()) write_file(s.json, json_of(reports, score));
  const bool weak =
      s.ops.size() == registry().size() && score.made > 0 &&
      static_cast<double>(score.caught) < least_mutation_score * static_cast<double>(score.made);
  if (weak) fmt::print("the mutation score is below {}\n", least_mutation_score);
  return failed == 0 && !weak ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const UsageError& e) {
    fmt::print(stderr, "certify: {}\n", e.what());
    return 2;
  }
}

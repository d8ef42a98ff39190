// The benchmark: ours, the machine's limit and, where wanted, another library beside it, row by row.
// Depends on every part of bench/ and Boost.Program_options. Exit status 2: bad usage, or a peer that is not there.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <thread>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include <thalweg/ops/kernels/par.hpp>

#include "nets.hpp"
#include "report.hpp"

namespace po = boost::program_options;
using namespace bench;

namespace {

struct Options {
  std::vector<std::string> names;
  std::string json, markdown, peer, notes;
  int repeat = 1;
  bool quick = false, list = false, check = false;
};

std::vector<Case> all_cases() {
  std::vector<Case> all;
  add_step_cases(all);
  add_kernel_cases(all);
  add_overhead_cases(all);
  add_op_cases(all);
  std::vector<std::string> groups;
  for (const Case& c : all)
    if (std::ranges::find(groups, c.group) == groups.end()) groups.push_back(c.group);
  std::ranges::stable_sort(all, {}, [&](const Case& c) { return std::ranges::find(groups, c.group) - groups.begin(); });
  return all;
}

bool wanted(const Case& c, const std::vector<std::string>& names) {
  return names.empty() || std::ranges::any_of(names, [&](const std::string& n) {
    return c.name.starts_with(n) || c.group.starts_with(n);
  });
}

/// Null, with a line on stderr, where the peer was not there when this was built.
Peer* load_peer(const std::string& program) {
  const std::string path = program.substr(0, program.rfind('/') + 1) + "bench_peer_torch.so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fmt::print(stderr, "bench: no libtorch peer ({}); install libtorch-dev and libopenblas0-openmp, configure again and build\n", dlerror());
    return nullptr;
  }
  const auto entry = reinterpret_cast<PeerEntry>(dlsym(library, "thalweg_bench_peer"));
  return entry ? entry() : nullptr;
}

int check_registry() {
  const std::vector<std::string> missing = ops_without_case();
  for (const std::string& op : missing) fmt::print(stderr, "bench: op '{}' has neither a call nor a reason in bench/op_table.cpp\n", op);
  return missing.empty() ? 0 : 1;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  if (!out.flush()) throw std::runtime_error("bench: cannot write " + path);
}

/// For a process of its own, started by the memory row.
int print_peak_memory(const std::string& program, std::string_view side) {
  if (side == "ours") {
    fmt::print("{}\n", vgg_peak_of_ours());
    return 0;
  }
  Peer* peer = load_peer(program);
  if (!peer) return 2;
  fmt::print("{}\n", vgg_peak_of(*peer));
  return 0;
}

/// One pass over the wanted cases, printed as it goes; one list of measurements per row, longer by one. The number of rows
/// that failed.
int run_pass(const Options& options, Peer* peer, const Effort& effort, std::vector<std::vector<Row>>& rows) {
  std::string group;
  int failures = 0;
  std::size_t at = 0;
  for (const Case& c : all_cases()) {
    if (!wanted(c, options.names)) continue;
    if (rows.size() <= at) rows.emplace_back();
    std::vector<Row>& row = rows[at++];
    try {
      if (isatty(2)) fmt::print(stderr, "{:<60}\r", c.name);
      row.push_back(measure(c, peer, effort));
      print_row(row.back(), group);
    } catch (const std::exception& e) {
      fmt::print(stderr, "bench: {}: {}\n", c.name, e.what());
      ++failures;
    }
  }
  return failures;
}

int run(const Options& options, const std::string& program, const std::string& command) {
  Peer* peer = nullptr;
  if (!options.peer.empty() && !(peer = load_peer(program))) return 2;
  const Effort effort{.quick = options.quick, .threads = thalweg::par::num_threads()};
  Machine machine = this_machine();
  machine.threads = effort.threads;
  machine.command = command;
  if (peer) machine.peer = peer->describe();
  measure_machine(machine);
  print_heading(machine);
  std::vector<std::vector<Row>> passes;
  int failures = 0;
  for (int i = 0; i < options.repeat; ++i) failures += run_pass(options, peer, effort, passes);
  std::erase_if(passes, [](const std::vector<Row>& row) { return row.empty(); });
  std::vector<Row> rows;
  for (std::vector<Row>& row : passes) rows.push_back(median_row(std::move(row)));
  if (options.repeat > 1) print_ratios(rows);
  if (!options.json.empty()) write_file(options.json, as_json(machine, rows));
  if (!options.markdown.empty()) write_file(options.markdown, as_markdown(machine, rows, read_notes(options.notes)));
  if (rows.empty() && failures == 0) {
    fmt::print(stderr, "bench: no row has such a name or group\n");
    return 2;
  }
  return failures ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  po::options_description all("options"), visible("bench [NAME...] [options]: rows whose name or group begins with NAME, or all");
  visible.add_options()("json", po::value(&options.json)->value_name("FILE"), "write the rows as JSON")(
      "peer", po::value(&options.peer)->value_name("libtorch"), "measure that library beside ours")(
      "markdown", po::value(&options.markdown)->value_name("FILE"), "write the rows as a page")(
      "notes", po::value(&options.notes)->value_name("FILE")->default_value(THALWEG_BENCH_NOTES), "explanations for that page")(
      "repeat", po::value(&options.repeat)->value_name("N")->default_value(1), "N passes over the rows: of each the one with the median ratio")(
      "quick", po::bool_switch(&options.quick), "one short round of each row: to see that it runs")(
      "list", po::bool_switch(&options.list), "name the rows and run none")(
      "check", po::bool_switch(&options.check), "fail if a registered op has no row")("help", "print this");
  all.add(visible).add_options()("name", po::value(&options.names));
  if (argc == 3 && std::string_view(argv[1]) == "--peak-memory") return print_peak_memory(argv[0], argv[2]);
  try {
    po::variables_map map;
    po::store(po::command_line_parser(argc, argv).options(all).positional(po::positional_options_description().add("name", -1)).run(), map);
    po::notify(map);
    if (map.count("help")) {
      std::cout << visible;
      return 0;
    }
    if (!options.peer.empty() && options.peer != "libtorch") throw po::error("the only peer is libtorch");
    if (options.repeat < 1) throw po::error("--repeat needs 1 or more passes");
    if (options.check) return check_registry();
    if (options.list) {
      for (const Case& c : all_cases())
        if (wanted(c, options.names)) fmt::print("{}: {}\n", c.group, c.name);
      return 0;
    }
    std::string command = "./run bench";
    for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
    return run(options, argv[0], command);
  } catch (const po::error& e) {
    fmt::print(stderr, "bench: {}\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench: {}\n", e.what());
    return 1;
  }
}

// Rows as a table, as JSON and as a page. Depends on measure.hpp.
#pragma once

#include <cstdio>
#include <map>

#include "measure.hpp"

namespace bench {

struct Machine {
  std::string cpu;
  std::string instruction_set;
  std::string compiler;
  std::string date;     ///< UTC
  std::string command;
  std::string peer;     ///< "" for none
  int threads = 1;
  double flops = 0;     ///< per second, all threads
  double flops_one = 0; ///< one thread
  double read = 0;      ///< bytes per second
  double copy = 0;      ///< bytes per second, read and written
};

/// Processor, compiler, date.
Machine this_machine();
/// Its limits, on m.threads threads.
void measure_machine(Machine& m);

void print_heading(const Machine& m);
/// One row; a heading before it when its group is new.
void print_row(const Row& row, std::string& group);
/// Each row's median ratio and those of all passes, and then the rows whose median is below 0.95.
void print_ratios(const std::vector<Row>& rows);
std::string as_json(const Machine& m, const std::vector<Row>& rows);
/// `notes`: row or group name to why it stays below its limit; a group's stands above its table.
std::string as_markdown(const Machine& m, const std::vector<Row>& rows, const std::map<std::string, std::string>& notes);
/// Reads "name: text" lines, continued by indented ones.
std::map<std::string, std::string> read_notes(const std::string& path);

}  // namespace bench

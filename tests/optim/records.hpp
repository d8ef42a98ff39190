// Reads the recorded references of tests/data/optim: a line is fields between semicolons, a field is words.
// Depends on doctest (a file that cannot be read fails the test).
#pragma once

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace optim_test {

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

inline std::vector<std::vector<std::string>> records(const std::string& file) {
  std::ifstream in(std::string(THALWEG_TEST_DATA "/optim/") + file);
  REQUIRE(in.good());
  std::vector<std::vector<std::string>> all;
  for (std::string line; std::getline(in, line);)
    if (!line.starts_with('#')) all.push_back(split(line, ';'));
  REQUIRE_FALSE(all.empty());
  return all;
}

inline std::vector<double> numbers(const std::string& field) {
  std::vector<double> values;
  for (const std::string& word : split(field, ' ')) values.push_back(std::strtod(word.c_str(), nullptr));
  return values;
}

}  // namespace optim_test

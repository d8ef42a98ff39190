// The text table of a tape. Depends on graph_view, fmt.
#include <thalweg/autograd/graph/dump.hpp>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace thalweg::graph {
namespace {

constexpr std::size_t columns = 7;
using Line = std::array<std::string, columns>;

std::vector<std::string> short_names(const View& view) {
  std::vector<std::string> names;
  int leaves = 0, ops = 0;
  for (const ViewNode& n : view.nodes()) {
    const int number = n.leaf ? ++leaves : ++ops;
    names.push_back(!n.name.empty() ? n.name : fmt::format("{}{}", n.leaf ? "x" : "%", number));
  }
  return names;
}

std::vector<std::vector<std::string>> arguments(const View& view, const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> all;
  for (const ViewNode& n : view.nodes()) {
    all.emplace_back(static_cast<std::size_t>(n.n_in), "-");
    for (const SavedItem& s : n.saved)
      if (s.constant && s.named) all.back()[static_cast<std::size_t>(s.argument)] = s.what;
  }
  for (const ViewEdge& e : view.edges())
    all[e.to][static_cast<std::size_t>(e.argument)] = view.nodes()[e.from].outputs.size() > 1
                                                          ? fmt::format("{}.{}", names[e.from], e.output)
                                                          : names[e.from];
  return all;
}

std::string saved_text(const ViewNode& n) {
  if (n.spent) return "released";
  if (n.saved.empty()) return "";
  std::string names;
  for (const SavedItem& s : n.saved) names += fmt::format("{}{}", names.empty() ? "" : ", ", s.what);
  return fmt::format("{} ({})", names, bytes_text(n.saved_bytes));
}

std::string aligned(const std::vector<Line>& lines) {
  std::array<std::size_t, columns> width{};
  for (const Line& line : lines)
    for (std::size_t c = 0; c < columns; ++c) width[c] = std::max(width[c], line[c].size());
  std::string text;
  for (const Line& line : lines) {
    std::string row;
    for (std::size_t c = 0; c < columns; ++c) row += fmt::format("{:<{}}", line[c], width[c] + 2);
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

}  // namespace

std::string dump(const View& view) {
  const std::vector<std::string> names = short_names(view);
  const std::vector<std::vector<std::string>> inputs = arguments(view, names);
  std::uint64_t before_first = 0;
  for (const ViewNode& n : view.nodes())
    if (!n.leaf) {
      before_first = n.rank - 1;
      break;
    }
  std::vector<Line> lines{{"node", "rank", "op", "inputs", "output", "saved", "line"}};
  for (std::size_t i = 0; i < view.nodes().size(); ++i) {
    const ViewNode& n = view.nodes()[i];
    std::string args, outs;
    for (const std::string& a : inputs[i]) args += (args.empty() ? "" : ", ") + a;
    for (const Meta& m : n.outputs) outs += (outs.empty() ? "" : ", ") + thalweg::describe(m.dtype, m.shape);
    lines.push_back({names[i], std::to_string(n.leaf ? 0 : n.rank - before_first), n.op, args, outs,
                     saved_text(n), line_text(n.loc)});
  }
  return aligned(lines);
}

std::string dump(const Tensor& root, std::vector<Named> names, Loc loc) {
  return dump(View(root, std::move(names), loc));
}

}  // namespace thalweg::graph

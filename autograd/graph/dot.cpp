// Drawing by Graphviz: one HTML-like label per node. Depends on graph_view, fmt.
// Invariant: whatever a name holds, the text is well-formed; everything from outside goes through escaped().
#include <thalweg/autograd/graph/dot.hpp>

#include <map>

#include <fmt/format.h>

namespace thalweg::graph {
namespace {

constexpr const char* quiet_ink = "#5f6368";
constexpr const char* saved_ink = "#8a4b08";

struct Style {
  const char* shape;
  const char* style;
  const char* fill;
  const char* outline;
};

// Light fills under dark outlines: they stay apart in grey print too, because shape and outline tell the
// kinds.
constexpr Style leaf_style{"box", "filled", "#dce9f7", "#2b5c8f"};
constexpr Style op_style{"box", "filled,rounded", "#fbfbf8", "#4a4a4a"};
constexpr Style constant_style{"box", "filled,dashed", "#ffffff", "#5f6368"};
constexpr Style root_style{"box", "filled,rounded", "#dff0d8", "#2f6b2f"};

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '"')
      safe += "&quot;";
    else if (static_cast<unsigned char>(c) < ' ')
      safe += ' ';
    else
      safe += c;
  }
  return safe;
}

std::string small(const char* ink, const std::string& text) {
  return fmt::format("<br/><font point-size=\"9\" color=\"{}\">{}</font>", ink, escaped(text));
}

std::string saved_line(const ViewNode& n) {
  if (n.spent) return "saved values released";
  std::string names;
  for (const SavedItem& s : n.saved) names += (names.empty() ? "" : ", ") + s.what;
  return names.empty() ? "" : fmt::format("saves {}: {}", names, bytes_text(n.saved_bytes));
}

std::string label(const ViewNode& n, const DotOptions& options) {
  const std::string head = n.leaf ? (n.name.empty() ? "leaf" : n.name) : n.op;
  std::string text = fmt::format("<b>{}</b>", escaped(head));
  if (!n.leaf && !n.name.empty()) text += fmt::format(" <i>{}</i>", escaped(n.name));
  std::string outs;
  for (const Meta& m : n.outputs) outs += (outs.empty() ? "" : ", ") + thalweg::describe(m.dtype, m.shape);
  text += fmt::format("<br/><font point-size=\"10\">{}</font>", escaped(outs));
  if (const std::string saved = options.saved ? saved_line(n) : ""; !saved.empty())
    text += small(saved_ink, saved);
  if (const std::string line = options.lines ? line_text(n.loc) : ""; !line.empty())
    text += small(quiet_ink, line);
  return text;
}

std::string summary(const View& view, const DotOptions& options) {
  std::size_t leaves = 0;
  for (const ViewNode& n : view.nodes()) leaves += n.leaf ? 1 : 0;
  const std::size_t ops = view.nodes().size() - leaves;
  const std::string counts =
      fmt::format("{} op{}, {} {}, {} saved for backward", ops, ops == 1 ? "" : "s", leaves,
                  leaves == 1 ? "leaf" : "leaves", bytes_text(view.saved_bytes()));
  const std::string title =
      options.title.empty() ? "" : fmt::format("<b>{}</b><br/>", escaped(options.title));
  return fmt::format("{}<font point-size=\"10\" color=\"{}\">{}</font><br/><font point-size=\"6\"> </font>",
                     title, quiet_ink, counts);
}

std::string node_line(const std::string& id, const Style& s, const std::string& inside, bool result = false) {
  return fmt::format("  {} [shape={}, style=\"{}\", fillcolor=\"{}\", color=\"{}\"{}, label=<{}>]\n", id,
                     s.shape, s.style, s.fill, s.outline, result ? ", peripheries=2" : "", inside);
}

/// Named values without a gradient that some op saved, data and targets say: they are not on the tape, hence
/// dashed.
std::string constants(const View& view) {
  std::map<std::string, std::string> ids;
  std::string text;
  for (std::size_t i = 0; i < view.nodes().size(); ++i)
    for (const SavedItem& s : view.nodes()[i].saved) {
      if (!s.constant || !s.named) continue;
      const auto [at, fresh] = ids.try_emplace(s.what, fmt::format("c{}", ids.size()));
      if (fresh)
        text += node_line(at->second, constant_style,
                          fmt::format("<i>{}</i><br/><font point-size=\"10\">{}</font>", escaped(s.what),
                                      escaped(thalweg::describe(s.meta.dtype, s.meta.shape))));
      text += fmt::format("  {} -> n{} [style=dashed]\n", at->second, i);
    }
  return text;
}

}  // namespace

std::string to_dot(const View& view, const DotOptions& options) {
  std::string text = fmt::format(
      "digraph thalweg {{\n"
      "  graph [rankdir={}, labelloc=t, label=<{}>, fontname=\"Helvetica\", fontsize=14, bgcolor=white, "
      "pad=0.3,\n"
      "         nodesep=0.3, ranksep=0.35]\n"
      "  node [fontname=\"Helvetica\", fontsize=12, margin=\"0.14,0.07\", height=0.3]\n"
      "  edge [fontname=\"Helvetica\", fontsize=9, color=\"#4a4a4a\", fontcolor=\"{}\", arrowsize=0.7]\n",
      options.left_to_right ? "LR" : "TB", summary(view, options), quiet_ink);
  for (std::size_t i = 0; i < view.nodes().size(); ++i) {
    const ViewNode& n = view.nodes()[i];
    const Style& s = n.root ? root_style : n.leaf ? leaf_style : op_style;
    text += node_line(fmt::format("n{}", i), s, label(n, options), n.root);
  }
  if (options.saved) text += constants(view);
  for (const ViewEdge& e : view.edges()) {
    const bool say_output = view.nodes()[e.from].outputs.size() > 1;
    text += fmt::format("  n{} -> n{}{}\n", e.from, e.to,
                        say_output ? fmt::format(" [taillabel=\"{}\"]", e.output) : "");
  }
  return text + "}\n";
}

}  // namespace thalweg::graph

// A recorded graph as Graphviz text. Depends on graph_view.
#pragma once

#include <thalweg/autograd/graph/graph_view.hpp>

namespace thalweg::graph {

struct DotOptions {
  std::string title{};         ///< above the drawing
  bool left_to_right = false;  ///< else from top to bottom
  bool saved = true;           ///< what each node saves for its derivative
  bool lines = true;           ///< source lines
};

/// The drawing in the `dot` language: values flow along the arrows. Leaves are boxes, ops rounded boxes,
/// results have a double outline; each says its op, shape, saved values and source line. Named values without
/// a gradient that an op saved are dashed boxes.
std::string to_dot(const View& view, const DotOptions& options = {});

}  // namespace thalweg::graph

// A small tape as a text table, for reading and for tests. Depends on graph_view.
#pragma once

#include <thalweg/autograd/graph/graph_view.hpp>

namespace thalweg::graph {

/// One line per node in recording order: how later lines call it, its rank, op, arguments, output, saved
/// values and source line. Leaves go by their given names (else x1, x2, ...), ops by %1, %2, ...; an argument
/// that wants no gradient is "-", or its given name where the op saved it. Ranks are counted from the first
/// op shown, so that they do not tell what the thread did before.
std::string dump(const View& view);
/// The same of the graph below `root`. Throws GraphError for a tensor without history.
std::string dump(const Tensor& root, std::vector<Named> names = {}, Loc loc = Loc::here());

}  // namespace thalweg::graph

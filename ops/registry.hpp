// The registry: every op of the library, enumerated. Depends on describe.hpp.
// Invariant: the lists in pointwise/*.inl and structured.hpp are the only lists of ops anywhere.
#pragma once

#include <span>
#include <string_view>

#include <thalweg/ops/describe.hpp>

namespace thalweg {

/// All library ops, in the order of the lists.
std::span<const OpInfo> registry();
/// The op of that name, or null.
const OpInfo* find_op(std::string_view name);

}  // namespace thalweg

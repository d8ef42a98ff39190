// The state of anything that has visit(StateVisitor&), as named tensors and texts: collected, put back, saved
// and loaded. Depends on io/state, io/safetensors. Invariant: putting back is all or nothing.
//
// In the file an integer is an i64 tensor without dimensions, a number an f64 one, numbers an f64 vector; a
// text stands in the metadata under "text:NAME", a tensor that is undefined under "undefined:NAME".
#pragma once

#include <functional>
#include <string>

#include <thalweg/io/safetensors.hpp>
#include <thalweg/io/state.hpp>

namespace thalweg::io {

/// Names a state to the visitor it is given: [&](io::StateVisitor& f) { ema.visit(f); }
using StateVisit = std::function<void(StateVisitor&)>;

/// What `visit` names. Tensors share memory with their owners. Throws ValueError for a name given twice.
TensorFile collect_state(const StateVisit& visit, Loc loc = Loc::here());

/// Puts `from` back into what `visit` names: values are assigned, tensors that are defined are written in
/// place, undefined ones become those of `from`. Every missing, extra and mis-shaped entry is listed in one
/// ValueError, and everything is as before; so it is when `visit` throws. `name` (printable) says where
/// `from` comes from. An object may visit numbers first and then as many names as they say.
void assign_state(const TensorFile& from, const StateVisit& visit, const std::string& name,
                  Loc loc = Loc::here());

/// Saves the state to `path` with a checksum, as save_checked() does; `about` goes into the metadata.
void save_state(const std::string& path, const StateVisit& visit, const Metadata& about = {},
                Loc loc = Loc::here());
/// Loads what save_state() saved. Throws as load_checked() and assign_state() do.
void load_state(const std::string& path, const StateVisit& visit, Loc loc = Loc::here());

}  // namespace thalweg::io

// An error on its way to the user gains what the place where it arose did not know: the op, the layer, the
// line. Depends on error.hpp only.
#pragma once

#include <utility>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg {

/// Throws `e`, which is being handled, again with other fields; one of a class of the user's own as it is.
[[noreturn]] void throw_again(const Error& e, ErrorFields fields);

/// f(), whose errors name the line `loc` if they name none.
template <class F>
decltype(auto) at_line(Loc loc, F f) {
  try {
    return f();
  } catch (const Error& e) {
    if (e.loc() || !loc) throw;
    ErrorFields fields = e.fields();
    fields.loc = loc;
    throw_again(e, std::move(fields));
  }
}

}  // namespace thalweg

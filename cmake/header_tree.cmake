# thalweg_header_tree(DIR FOLDERS...): makes DIR/thalweg/<folder> a link to each source folder, so that
# <thalweg/nn/linear.hpp> names the same file in the build tree as after installation. The two short names,
# <thalweg/thalweg.hpp> and <thalweg/op.hpp>, are forwarding headers: a second link to one file would defeat
# #pragma once.
function(thalweg_header_tree dir)
  file(MAKE_DIRECTORY "${dir}/thalweg")
  foreach(folder IN LISTS ARGN)
    file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${folder}" "${dir}/thalweg/${folder}" SYMBOLIC)
  endforeach()
  foreach(pair "thalweg.hpp=autograd/thalweg.hpp" "op.hpp=ops/op.hpp")
    string(REPLACE "=" ";" pair "${pair}")
    list(GET pair 0 short)
    list(GET pair 1 target)
    file(CONFIGURE OUTPUT "${dir}/thalweg/${short}" @ONLY
         CONTENT "// Forwards to the header of the same name.\n#pragma once\n#include <thalweg/@target@>\n")
  endforeach()
endfunction()

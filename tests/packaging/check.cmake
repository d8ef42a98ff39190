# cmake -DBUILD=dir -DSOURCE=dir -DWORK=dir -DCXX=compiler -DGENERATOR=name -DTYPE=Release -DFLAGS= -DEXAMPLES=dir -P check.cmake
# Installs BUILD into a fresh prefix, then configures, builds and runs the outside project in SOURCE against it.
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

function(step)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "failed (${status}): ${ARGN}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

step("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix with space")
step("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/build" -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${CXX}"
     "-DCMAKE_BUILD_TYPE=${TYPE}" "-DCMAKE_CXX_FLAGS=${FLAGS}" "-DCMAKE_PREFIX_PATH=${WORK}/prefix with space"
     "-DEXAMPLES=${EXAMPLES}")
step("${CMAKE_COMMAND}" --build "${WORK}/build")
step("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK}/build" --output-on-failure)
message("${output}")

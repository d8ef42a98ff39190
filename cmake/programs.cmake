# Executables: thalweg_program for one, thalweg_examples and thalweg_benchmarks for whatever is there.
# All land in the top of the build directory, so build/release/mnist is where one looks for it.
find_package(Boost 1.74 QUIET COMPONENTS program_options)

function(thalweg_program name)
  cmake_parse_arguments(arg "" "FOLDER" "SOURCES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}" FOLDER "${arg_FOLDER}")
  target_link_libraries(${name} PRIVATE thalweg::thalweg fmt::fmt thalweg_warnings thalweg_sanitizers)
  if(TARGET Boost::program_options)
    target_link_libraries(${name} PRIVATE Boost::program_options)
  endif()
  target_compile_definitions(${name} PRIVATE
    THALWEG_MNIST_SUBSET="${PROJECT_SOURCE_DIR}/examples/data/mnist-subset"
    THALWEG_MNIST_SUBSET_INSTALLED="${CMAKE_INSTALL_FULL_DATADIR}/thalweg/mnist-subset")
endfunction()

# examples/NAME.cpp, or every source under examples/NAME/, is the program NAME.
function(thalweg_examples)
  file(GLOB entries CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/examples/*")
  foreach(entry IN LISTS entries)
    get_filename_component(name "${entry}" NAME_WE)
    if(IS_DIRECTORY "${entry}")
      file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${entry}/*.cpp")
    elseif(entry MATCHES "\\.cpp$")
      set(sources "${entry}")
    else()
      set(sources)
    endif()
    if(sources)
      thalweg_program(${name} FOLDER examples SOURCES ${sources})
    endif()
  endforeach()
endfunction()

# bench/NAME.cpp is the program bench_NAME.
function(thalweg_benchmarks)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/*.cpp")
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "^bench_" "" name "${name}")
    thalweg_program(bench_${name} FOLDER bench SOURCES "${source}")
  endforeach()
endfunction()

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

# examples/NAME.cpp, or every source under examples/NAME/, is the program NAME. examples/common is what the training
# programs share: their command line and the run itself.
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
    if(name STREQUAL "common")
      continue()
    endif()
    if(name MATCHES "^(mnist|cifar10)$")
      file(GLOB common CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/examples/common/*.cpp")
      list(APPEND sources ${common})
    endif()
    if(sources)
      thalweg_program(${name} FOLDER examples SOURCES ${sources})
    endif()
  endforeach()
endfunction()

# All of bench/ is one program, and the libtorch peer a shared object that it loads on request: nothing of torch is
# linked into ours. Debian's package files of torch ask for more than is there, so it is looked for plainly.
function(thalweg_benchmarks)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/*.cpp")
  if(NOT sources OR NOT TARGET Boost::program_options)
    return()
  endif()
  set(peer ${sources})
  list(FILTER peer INCLUDE REGEX "/peer_torch[^/]*\\.cpp$")
  list(REMOVE_ITEM sources ${peer})
  thalweg_program(bench FOLDER bench SOURCES ${sources})
  target_link_libraries(bench PRIVATE ${CMAKE_DL_LIBS})
  target_include_directories(bench PRIVATE "${PROJECT_SOURCE_DIR}/bench")  # Highway includes limits_kernels.inl by name
  target_compile_definitions(bench PRIVATE THALWEG_BENCH_NOTES="${PROJECT_SOURCE_DIR}/bench/notes.txt")

  find_path(THALWEG_TORCH_INCLUDE torch/torch.h PATH_SUFFIXES torch/csrc/api/include)
  find_library(THALWEG_TORCH_CPU torch_cpu)
  find_library(THALWEG_TORCH_C10 c10)
  if(THALWEG_TORCH_INCLUDE AND THALWEG_TORCH_CPU AND THALWEG_TORCH_C10)
    add_library(bench_peer_torch MODULE ${peer})
    set_target_properties(bench_peer_torch PROPERTIES PREFIX "" FOLDER bench CXX_VISIBILITY_PRESET hidden
      LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
    target_compile_features(bench_peer_torch PRIVATE cxx_std_17)
    target_include_directories(bench_peer_torch SYSTEM PRIVATE "${THALWEG_TORCH_INCLUDE}")
    target_link_libraries(bench_peer_torch PRIVATE "${THALWEG_TORCH_CPU}" "${THALWEG_TORCH_C10}")
    add_dependencies(bench bench_peer_torch)
  endif()
endfunction()

# cmake -DMNIST=program -DSUBSET=dir -DWORK=dir -P check_mnist.cmake
# Trains on the embedded subset for one epoch with 1, 2 and 3 threads, twice with 2: the parameters must agree to the
# last bit. Then the command line: an unknown option names its nearest match and exits 2.
cmake_minimum_required(VERSION 3.25)  # a script has no policies of its own: without it if() expands quoted words
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

set(first)
foreach(run 1 2 3 2)
  set(json "${WORK}/threads.json")
  execute_process(COMMAND "${MNIST}" --data-dir "${SUBSET}" --epochs 1 --limit 1000 --seed 7 --threads ${run} --quiet
                          --json "${json}" RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "mnist --threads ${run} exits with ${status}:\n${out}")
  endif()
  file(STRINGS "${json}" lines)
  list(GET lines -1 result)
  string(JSON event GET "${result}" event)
  string(JSON hash GET "${result}" params_hash)
  string(JSON accuracy GET "${result}" test_accuracy)
  if(NOT event STREQUAL "result" OR hash STREQUAL "")
    message(FATAL_ERROR "the last line is not a result: ${result}")
  endif()
  message("--threads ${run}: ${hash}, accuracy ${accuracy}")
  if(NOT first)
    set(first "${hash}")
  elseif(NOT hash STREQUAL first)
    message(FATAL_ERROR "--threads ${run} gives ${hash}, the first run gave ${first}")
  endif()
endforeach()

execute_process(COMMAND "${MNIST}" --epoch 1 RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
if(NOT status EQUAL 2 OR NOT out MATCHES "--epochs")
  message(FATAL_ERROR "an unknown option should name --epochs and exit 2, but: ${status}\n${out}")
endif()
foreach(bad "--epochs=0" "--lr=nan" "--lr=-1" "--batch-size=-1" "--threads=x")
  execute_process(COMMAND "${MNIST}" ${bad} --limit 200 --data-dir "${SUBSET}"
                  RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 2)
    message(FATAL_ERROR "${bad} should exit 2, but: ${status}\n${out}")
  endif()
endforeach()

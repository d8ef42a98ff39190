# The warnings every file of the project is held to; never exported to users of the library.
add_library(thalweg_warnings INTERFACE)
target_compile_options(thalweg_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(THALWEG_WERROR)
  target_compile_options(thalweg_warnings INTERFACE -Werror)
endif()

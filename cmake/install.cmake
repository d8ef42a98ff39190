# cmake --install: headers under include/thalweg, the library, the package files, the MNIST subset.
include(CMakePackageConfigHelpers)

foreach(folder IN LISTS THALWEG_FOLDERS)
  if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}")
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}"
            DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/thalweg"
            FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inl")
  endif()
endforeach()
install(FILES "${PROJECT_BINARY_DIR}/include/thalweg/thalweg.hpp" "${PROJECT_BINARY_DIR}/include/thalweg/op.hpp"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/thalweg")

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/thalweg")
install(TARGETS thalweg EXPORT thalwegTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT thalwegTargets NAMESPACE thalweg:: DESTINATION "${package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/thalwegConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/thalwegConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/thalwegConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/thalwegConfig.cmake" "${PROJECT_BINARY_DIR}/thalwegConfigVersion.cmake"
        DESTINATION "${package_dir}")
if(TARGET certify)
  install(TARGETS certify RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/examples/data/mnist-subset")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples/data/mnist-subset"
          DESTINATION "${CMAKE_INSTALL_DATADIR}/thalweg")
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/LICENSE")
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endif()

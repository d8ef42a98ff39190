// Where the images come from. Depends on data/idx.
#pragma once

#include <string>

#include <thalweg/data/idx.hpp>

namespace mnist {

struct Images {
  thalweg::data::MnistData train;
  thalweg::data::MnistData test;
  std::string directory;
};

/// The directory named by --data-dir, else $THALWEG_DATA or $THALWEG_DATA/mnist; when one of the four files
/// is missing there, says so on stderr and takes the subset that comes with the sources. Throws IoError,
/// FormatError.
Images load_images(const std::string& data_dir);

}  // namespace mnist

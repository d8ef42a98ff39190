// All of optim. Depends on the folder's headers.
#pragma once

#include <thalweg/optim/adam.hpp>
#include <thalweg/optim/optimizer.hpp>
#include <thalweg/optim/sgd.hpp>

// All of optim. Depends on the folder's headers.
#pragma once

#include <thalweg/optim/adam.hpp>
#include <thalweg/optim/optimizer.hpp>
#include <thalweg/optim/plateau.hpp>
#include <thalweg/optim/schedule.hpp>
#include <thalweg/optim/sgd.hpp>

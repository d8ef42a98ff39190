// All of optim. Depends on the folder's headers.
#pragma once

#include <thalweg/optim/adadelta.hpp>
#include <thalweg/optim/adagrad.hpp>
#include <thalweg/optim/adam.hpp>
#include <thalweg/optim/adamax.hpp>
#include <thalweg/optim/clip.hpp>
#include <thalweg/optim/ema.hpp>
#include <thalweg/optim/nadam.hpp>
#include <thalweg/optim/optimizer.hpp>
#include <thalweg/optim/plateau.hpp>
#include <thalweg/optim/rmsprop.hpp>
#include <thalweg/optim/schedule.hpp>
#include <thalweg/optim/sgd.hpp>

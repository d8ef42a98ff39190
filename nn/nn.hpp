// All of nn: modules, layers, losses, regularisers, initialisers, summary. Depends on the folder's headers.
#pragma once

#include <thalweg/nn/conv.hpp>
#include <thalweg/nn/embedding.hpp>
#include <thalweg/nn/init.hpp>
#include <thalweg/nn/layers.hpp>
#include <thalweg/nn/linear.hpp>
#include <thalweg/nn/losses.hpp>
#include <thalweg/nn/module.hpp>
#include <thalweg/nn/norm.hpp>
#include <thalweg/nn/pool.hpp>
#include <thalweg/nn/regularizers.hpp>
#include <thalweg/nn/sequential.hpp>
#include <thalweg/nn/summary.hpp>

// All public functions of tensors, by family. Depends on tensor.
#pragma once

#include <thalweg/ops/functions/conv.hpp>
#include <thalweg/ops/functions/index.hpp>
#include <thalweg/ops/functions/loss.hpp>
#include <thalweg/ops/functions/matmul.hpp>
#include <thalweg/ops/functions/norm.hpp>
#include <thalweg/ops/functions/pointwise.hpp>
#include <thalweg/ops/functions/pool.hpp>
#include <thalweg/ops/functions/reduce.hpp>
#include <thalweg/ops/functions/shape.hpp>

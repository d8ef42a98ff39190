// The umbrella: everything a program that trains needs. Holds neither op structs nor Highway, so it compiles in under
// a second; `<thalweg/op.hpp>` is for those who write ops, `<thalweg/check/...>` for those who certify them.
#pragma once

#include <thalweg/autograd/base/memory_stats.hpp>
#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/engine/engine.hpp>
#include <thalweg/autograd/graph/anomaly.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/autograd/tensor/generator.hpp>
#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/data/cifar.hpp>
#include <thalweg/data/dataset.hpp>
#include <thalweg/data/idx.hpp>
#include <thalweg/data/image_augmenter.hpp>
#include <thalweg/data/image_transforms.hpp>
#include <thalweg/data/loader.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/ops/function.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/train/train.hpp>

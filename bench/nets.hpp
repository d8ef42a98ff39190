// The VGG of the seed as the benchmarks use it: its layers, its step, its memory. Depends on case.hpp.
#pragma once

#include <array>

#include "case.hpp"

namespace bench {

/// A 3 x 3 "same" convolution of a square image, with relu and batch norm; `pool` where 2 x 2 max pooling follows.
struct VggLayer {
  std::int64_t in, out, size;
  bool pool;
};
inline constexpr std::array<VggLayer, 8> vgg_layers{{{3, 64, 32, true}, {64, 128, 16, true}, {128, 256, 8, false}, {256, 256, 8, true},
                                                     {256, 512, 4, false}, {512, 512, 4, true}, {512, 512, 2, false}, {512, 512, 2, true}}};
inline constexpr std::int64_t vgg_batch = 128;

/// Operations of a layer's convolution over the batch, taps that fall on padding not counted.
constexpr double convolution_flops(const VggLayer& l) {
  const double taps = static_cast<double>(3 * l.size - 2);
  return 2.0 * static_cast<double>(vgg_batch * l.in * l.out) * taps * taps;
}

/// The shapes of the network's parameters, in order.
std::vector<std::vector<std::int64_t>> vgg_parameter_shapes();

void add_vgg_cases(std::vector<Case>& to);

/// A row that says how many times faster two threads are than one, measured in turn.
Case scaling_case(std::string name, std::function<Ready()> make, double goal);

/// For a process of its own: by how much some train steps of the VGG raise the peak of its resident memory, in MB.
double vgg_peak_of_ours();
double vgg_peak_of(Peer& peer);

}  // namespace bench

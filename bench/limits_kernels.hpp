// The table of limit kernels of one instruction set. Depends on the standard library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

struct LimitKernels {
  double (*chains)(std::int64_t n);
  double (*flops_of_chains)(std::int64_t n);
  float (*read)(const float* p, std::size_t n);
  void (*copy)(const float* from, float* to, std::size_t n, bool streaming);
  void (*write)(float* to, std::size_t n, bool streaming);
};

/// Of the instruction set the library's kernels run on.
const LimitKernels& limit_kernels();

}  // namespace bench

// 1x1 kernels without stride and padding: a matrix product for each image, its pixels as columns, read and
// written in place. Depends on par and the matrix product's drivers. Invariant: which driver runs follows
// from the geometry alone, and both give the same bits.
#include <thalweg/ops/kernels/conv_channels.hpp>
#include <thalweg/ops/kernels/gemm_driver.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t chunk_products = 1 << 19;  // multiply-adds of a chunk
constexpr std::int64_t few_products = 4;          // fewer are run one by one, each by all threads

}  // namespace

template <class T>
bool product_applies(const TapProblem<T>& p) noexcept {
  for (const TapAxis& a : p.axis)
    if (a.kernel != 1 || a.stride != 1 || a.padding != 0) return false;
  return p.source_channels > 0;
}

template <class T>
void conv_product(const TapProblem<T>& p) {
  const std::int64_t pixels = p.dest_size[0] * p.dest_size[1], products = p.batch * p.groups;
  GemmProblem<T> all;
  all.m = p.dest_channels, all.n = pixels, all.k = p.source_channels;
  all.c_row = pixels;
  all.bias_by_row = true;
  all.act = p.relu ? Activation::relu : Activation::none;
  if (products * all.m * all.n == 0) return;
  const auto multiply = [&](std::int64_t i, bool serial) {
    const std::int64_t group = i % p.groups;
    GemmProblem<T> g = all;
    g.c = p.dest + i * p.dest_channels * pixels;
    g.bias = p.bias ? p.bias + group * p.dest_channels : nullptr;
    const GemmOperand<T> a{p.weights + group * p.weights_group, p.weights_dest, p.weights_source},
        b{p.source + i * p.source_channels * pixels, 1, pixels};
    if (serial || gemm_path(g.m, g.n, g.k) == GemmPath::small)
      gemm_small(g, a, b, serial);
    else
      gemm_packed(g, a, b);
  };
  if (products < few_products)
    for (std::int64_t i = 0; i < products; ++i) multiply(i, false);
  else
    par::chunks(products, std::max<std::int64_t>(1, chunk_products / (all.m * all.n * all.k)),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  for (std::int64_t i = begin; i < end; ++i) multiply(i, true);
                });
}

template bool product_applies<float>(const TapProblem<float>&) noexcept;
template bool product_applies<double>(const TapProblem<double>&) noexcept;
template void conv_product<float>(const TapProblem<float>&);
template void conv_product<double>(const TapProblem<double>&);

}  // namespace thalweg::kernels

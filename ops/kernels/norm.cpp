// See norm.hpp: per-channel numbers, and which way through the array. Depends on dense, par, norm_rows.
#include <thalweg/ops/kernels/norm.hpp>

#include <algorithm>
#include <cmath>

#include <thalweg/ops/kernels/dense.hpp>
#include <thalweg/ops/kernels/norm_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 16384;
// Up to this length a run is too short to be a loop: the columns of several channels go side by side.
constexpr std::int64_t short_run = 64;
constexpr std::int64_t block_columns = 512;
// In inference, where nothing is summed, a run of this length has its channel's numbers to itself.
constexpr std::int64_t shortest_piece = 16;
constexpr std::int64_t stream_bytes = std::int64_t{24} << 20;

bool by_columns(const ChannelGeometry& g) noexcept { return g.run <= short_run; }

/// Channels that are worked on together.
std::int64_t block_channels(const ChannelGeometry& g) noexcept {
  return by_columns(g) ? std::max<std::int64_t>(1, block_columns / std::max<std::int64_t>(1, g.run)) : 1;
}

/// Calls f(first channel, channels) for each block, in parallel.
template <class F>
void each_block(const ChannelGeometry& g, F f) {
  const std::int64_t most = block_channels(g), blocks = (g.channels + most - 1) / most;
  const std::int64_t elements = std::max<std::int64_t>(1, g.rows * g.run * most);
  par::chunks(blocks, std::max<std::int64_t>(1, grain_elements / elements),
              [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t b = begin; b < end; ++b) f(b * most, std::min(most, g.channels - b * most));
              });
}

/// A number near the mean of a channel, from a few elements spread over it; the element itself if all are
/// equal, 0 if it is not finite.
template <class T>
T near_mean(const T* x, const ChannelGeometry& g) {
  const std::int64_t rows = std::min<std::int64_t>(g.rows, 8), places = std::min<std::int64_t>(g.run, 16);
  const double start = static_cast<double>(x[0]);
  double total = 0;
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < places; ++j)
      total += static_cast<double>(x[i * g.rows / rows * g.channels * g.run + j * g.run / places]) - start;
  const T near = static_cast<T>(start + total / static_cast<double>(rows * places));
  return std::isfinite(near) ? near : T{0};
}

/// Per-channel numbers of one block, spread over its columns.
template <class T>
struct Columns {
  T values[static_cast<std::size_t>(block_columns)];
  void spread(std::int64_t run, std::int64_t channel, T v) { std::fill_n(values + channel * run, run, v); }
};

/// Sums of the columns of a channel.
inline double fold(const double* columns, std::int64_t channel, std::int64_t run) {
  double total = 0;
  for (std::int64_t i = 0; i < run; ++i) total += columns[channel * run + i];
  return total;
}

/// What y and dx are made from.
template <class T>
struct Affine {
  T mean, scale, shift;
};
template <class T>
struct Affine2 {
  T mean, k1, scale, k2;
};

/// The vectors a channel's numbers come from; weight and bias may be null.
template <class T>
struct Parameters {
  const T *weight, *bias;
  double eps;
  double weight_of(std::int64_t c) const { return weight ? static_cast<double>(weight[c]) : 1; }
  double inverse_deviation(T variance) const { return 1 / std::sqrt(static_cast<double>(variance) + eps); }
  Affine<T> affine(std::int64_t c, T mean, T variance) const {
    return {mean, static_cast<T>(weight_of(c) * inverse_deviation(variance)), bias ? bias[c] : T{0}};
  }
};

template <class T>
class BatchNormTask {
 public:
  const T* x;
  T* y;
  T* mean;
  T* variance;
  Parameters<T> parameters;
  ChannelGeometry g;
  bool stream;

  void run(std::int64_t first, std::int64_t channels) const {
    if (by_columns(g))
      columns(first, channels);
    else
      channel(first);
  }

 private:
  void channel(std::int64_t c) const {
    const NormPasses<T>& passes = norm_passes<T>();
    const T* from = x + c * g.run;
    const Pieces pieces{g.rows, g.run, g.channels * g.run};
    const T near = near_mean(from, g);
    double sums[2];
    passes.moments(from, pieces, near, sums);
    finish(c, near, sums[0], sums[1]);
    const Affine<T> a = parameters.affine(c, mean[c], variance[c]);
    passes.normalise(from, y + c * g.run, pieces, a.mean, a.scale, a.shift, stream);
  }

  void columns(std::int64_t first, std::int64_t channels) const {
    const NormPasses<T>& passes = norm_passes<T>();
    const T* from = x + first * g.run;
    const Pieces pieces{g.rows, channels * g.run, g.channels * g.run};
    Columns<T> center, scale, shift;
    double sums[2][static_cast<std::size_t>(block_columns)];
    for (std::int64_t c = 0; c < channels; ++c) center.spread(g.run, c, near_mean(from + c * g.run, g));
    passes.column_moments(from, pieces, center.values, sums[0], sums[1]);
    for (std::int64_t c = 0; c < channels; ++c) {
      finish(first + c, center.values[c * g.run], fold(sums[0], c, g.run), fold(sums[1], c, g.run));
      const Affine<T> a = parameters.affine(first + c, mean[first + c], variance[first + c]);
      center.spread(g.run, c, a.mean);
      scale.spread(g.run, c, a.scale);
      shift.spread(g.run, c, a.shift);
    }
    passes.column_normalise(from, y + first * g.run, pieces, center.values, scale.values, shift.values,
                            stream);
  }

  /// Mean and variance from the sums of x - near and its square.
  void finish(std::int64_t c, T near, double first, double second) const {
    const double n = static_cast<double>(g.rows * g.run), square = (second - first * (first / n)) / n;
    mean[c] = static_cast<T>(static_cast<double>(near) + first / n);
    variance[c] = static_cast<T>(square < 0 ? 0 : square);
  }
};

template <class T>
class BackwardTask {
 public:
  const T *grad, *x;
  T* dx;
  const T *mean, *variance;
  T *dweight, *dbias;
  Parameters<T> parameters;
  ChannelGeometry g;
  bool stream;
  bool given;

  void run(std::int64_t first, std::int64_t channels) const {
    if (by_columns(g))
      columns(first, channels);
    else
      channel(first);
  }

 private:
  void channel(std::int64_t c) const {
    const NormPasses<T>& passes = norm_passes<T>();
    const std::int64_t at = c * g.run;
    const Pieces pieces{g.rows, g.run, g.channels * g.run};
    double sums[2];
    passes.products(grad + at, x + at, pieces, mean[c], sums);
    const Affine2<T> a = finish(c, sums[0], sums[1]);
    if (given) passes.normalise(grad + at, dx + at, pieces, 0, a.scale, 0, stream);
    else passes.gradient(grad + at, x + at, dx + at, pieces, a.mean, a.k1, a.scale, a.k2, stream);
  }

  void columns(std::int64_t first, std::int64_t channels) const {
    const NormPasses<T>& passes = norm_passes<T>();
    const std::int64_t at = first * g.run;
    const Pieces pieces{g.rows, channels * g.run, g.channels * g.run};
    Columns<T> center, k1, scale, k2;
    double sums[2][static_cast<std::size_t>(block_columns)];
    for (std::int64_t c = 0; c < channels; ++c) center.spread(g.run, c, mean[first + c]);
    passes.column_products(grad + at, x + at, pieces, center.values, sums[0], sums[1]);
    for (std::int64_t c = 0; c < channels; ++c) {
      const Affine2<T> a = finish(first + c, fold(sums[0], c, g.run), fold(sums[1], c, g.run));
      k1.spread(g.run, c, a.k1);
      scale.spread(g.run, c, a.scale);
      k2.spread(g.run, c, a.k2);
    }
    if (given)
      passes.column_normalise(grad + at, dx + at, pieces, k1.values, scale.values, k2.values, stream);
    else
      passes.column_gradient(grad + at, x + at, dx + at, pieces, center.values, k1.values, scale.values,
                             k2.values, stream);
  }

  Affine2<T> finish(std::int64_t c, double sum, double product) const {
    const double n = static_cast<double>(g.rows * g.run), r = parameters.inverse_deviation(variance[c]);
    dbias[c] = static_cast<T>(sum);
    dweight[c] = static_cast<T>(r * product);
    const T scale = static_cast<T>(parameters.weight_of(c) * r);
    if (given) return {mean[c], 0, scale, 0};
    return {mean[c], static_cast<T>(sum / n), scale, static_cast<T>(r * r * product / n)};
  }
};

bool past_cache(const ChannelGeometry& g, std::size_t itemsize) noexcept {
  return g.rows * g.channels * g.run * static_cast<std::int64_t>(itemsize) >= stream_bytes;
}

template <class T>
void batch_norm_of(const ConstView& x, const ConstView& weight, const ConstView& bias, double eps,
                   const View& y, const View& mean, const View& variance, const ChannelGeometry& g) {
  const DenseSource from(x), w(weight), b(bias);
  const BatchNormTask<T> task{from.as<T>(),
                              y.as<T>(),
                              mean.as<T>(),
                              variance.as<T>(),
                              {w.as<T>(), b.as<T>(), eps},
                              g,
                              past_cache(g, sizeof(T))};
  each_block(g, [&](std::int64_t first, std::int64_t channels) { task.run(first, channels); });
}

template <class T>
void backward_of(const ConstView& grad, const ConstView& x, const ConstView& mean, const ConstView& variance,
                 const ConstView& weight, double eps, bool given, const View& dx, const View& dweight,
                 const View& dbias, const ChannelGeometry& g) {
  const DenseSource gradient(grad), from(x), m(mean), v(variance), w(weight);
  const BackwardTask<T> task{gradient.as<T>(),
                             from.as<T>(),
                             dx.as<T>(),
                             m.as<T>(),
                             v.as<T>(),
                             dweight.as<T>(),
                             dbias.as<T>(),
                             {w.as<T>(), nullptr, eps},
                             g,
                             past_cache(g, sizeof(T)),
                             given};
  each_block(g, [&](std::int64_t first, std::int64_t channels) { task.run(first, channels); });
}

/// Numbers of all channels, each repeated `times`.
template <class T>
class Spread {
 public:
  Spread(const Parameters<T>& parameters, const T* mean, const T* variance, std::int64_t channels,
         std::int64_t times)
      : n_(channels * times), values_(static_cast<std::size_t>(3 * n_)) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const Affine<T> a = parameters.affine(c, mean[c], variance[c]);
      std::fill_n(values_.data() + c * times, times, a.mean);
      std::fill_n(values_.data() + n_ + c * times, times, a.scale);
      std::fill_n(values_.data() + 2 * n_ + c * times, times, a.shift);
    }
  }
  std::int64_t size() const { return n_; }
  const T* mean() const { return values_.data(); }
  const T* scale() const { return values_.data() + n_; }
  const T* shift() const { return values_.data() + 2 * n_; }

 private:
  std::int64_t n_;
  mem::Scratch<T> values_;
};

template <class T>
void normalise_of(const ConstView& x, const ConstView& mean, const ConstView& variance,
                  const ConstView& weight, const ConstView& bias, double eps, const View& y,
                  const ChannelGeometry& g) {
  const DenseSource from(x), m(mean), v(variance), w(weight), b(bias);
  const Parameters<T> parameters{w.as<T>(), b.as<T>(), eps};
  const bool columns = g.run < shortest_piece, stream = past_cache(g, sizeof(T));
  const Spread<T> of(parameters, m.as<T>(), v.as<T>(), g.channels, columns ? g.run : 1);
  const std::int64_t length = columns ? of.size() : g.run, pieces = columns ? g.rows : g.rows * g.channels;
  par::chunks(pieces, std::max<std::int64_t>(1, grain_elements / length),
              [&](std::int64_t begin, std::int64_t end) {
                const T* at = from.as<T>() + begin * length;
                T* to = y.as<T>() + begin * length;
                const Pieces p{end - begin, length, length};
                if (columns)
                  norm_passes<T>().column_normalise(at, to, p, of.mean(), of.scale(), of.shift(), stream);
                else
                  norm_passes<T>().normalise_in_turn(at, to, p, begin % g.channels, g.channels, of.mean(),
                                                     of.scale(), of.shift(), stream);
              });
}

}  // namespace

void channel_normalise(const ConstView& x, const ConstView& mean, const ConstView& variance,
                       const ConstView& weight, const ConstView& bias, double eps, const View& y,
                       const ChannelGeometry& g) {
  if (g.rows * g.channels * g.run == 0) return;
  if (x.dtype == DType::f32)
    normalise_of<float>(x, mean, variance, weight, bias, eps, y, g);
  else
    normalise_of<double>(x, mean, variance, weight, bias, eps, y, g);
}

void batch_norm(const ConstView& x, const ConstView& weight, const ConstView& bias, double eps, const View& y,
                const View& mean, const View& variance, const ChannelGeometry& g) {
  if (x.dtype == DType::f32)
    batch_norm_of<float>(x, weight, bias, eps, y, mean, variance, g);
  else
    batch_norm_of<double>(x, weight, bias, eps, y, mean, variance, g);
}

void batch_norm_backward(const ConstView& grad, const ConstView& x, const ConstView& mean,
                         const ConstView& variance, const ConstView& weight, double eps, bool given, const View& dx,
                         const View& dweight, const View& dbias, const ChannelGeometry& g) {
  if (x.dtype == DType::f32)
    backward_of<float>(grad, x, mean, variance, weight, eps, given, dx, dweight, dbias, g);
  else
    backward_of<double>(grad, x, mean, variance, weight, eps, given, dx, dweight, dbias, g);
}

}  // namespace thalweg::kernels

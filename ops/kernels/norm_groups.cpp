// See norm_groups.hpp: which way through the array, and sums over its rows. Depends on dense, par,
// norm_groups_rows.
#include <thalweg/ops/kernels/norm_groups.hpp>

#include <algorithm>
#include <cmath>

#include <thalweg/ops/kernels/dense.hpp>
#include <thalweg/ops/kernels/norm_groups_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 16384;
// Shorter runs are no loops: every element gets a weight and a bias of its own instead.
constexpr std::int64_t shortest_run = 16;
// A few long pieces are cut, so that threads share them.
constexpr std::int64_t few_pieces = 16, segment = 65536;
constexpr std::int64_t stream_bytes = std::int64_t{24} << 20;
constexpr std::int64_t shortest_stream = 1024;  // elements written past the cache at a time

std::int64_t grain_of(std::int64_t elements) noexcept {
  return std::max<std::int64_t>(1, grain_elements / std::max<std::int64_t>(1, elements));
}
std::int64_t parts_of(std::int64_t n) noexcept { return (n + segment - 1) / segment; }

/// The way through an array.
struct Plan {
  GroupGeometry g;
  bool elements;  ///< a number for each element, not for each run
  bool cut;       ///< threads share a piece instead of sharing the pieces
  bool stream;
  Plan(const GroupGeometry& of, std::size_t itemsize)
      : g(of),
        elements(g.run < shortest_run),
        cut(g.rows * g.groups < few_pieces && g.piece() >= 2 * segment),
        stream(g.rows * g.groups * g.piece() * static_cast<std::int64_t>(itemsize) >= stream_bytes &&
               (elements ? g.piece() : g.run) >= shortest_stream) {}
  std::int64_t pieces() const noexcept { return g.rows * g.groups; }
  /// A piece is `lines()` of `line()` elements that have one number each, or all.
  std::int64_t line() const noexcept { return elements ? g.piece() : g.run; }
  std::int64_t lines() const noexcept { return elements ? 1 : g.channels; }

  template <class F>
  void each_piece(F f) const {
    if (cut) return loop(0, pieces(), f);
    par::chunks(pieces(), grain_of(g.piece()),
                [&](std::int64_t begin, std::int64_t end) { loop(begin, end, f); });
  }
  /// f(line, offset in the line, elements, number of the part) for the parts of a piece; in parallel if
  /// pieces are cut.
  template <class F>
  void each_part(F f) const {
    const std::int64_t parts = cut ? parts_of(line()) : 1;
    const auto part = [&](std::int64_t i) {
      const std::int64_t at = i % parts * segment;
      f(i / parts, at, cut ? std::min(segment, line() - at) : line(), i);
    };
    if (!cut) return loop(0, lines(), part);
    par::chunks(lines() * parts, grain_of(std::min(segment, line())),
                [&](std::int64_t begin, std::int64_t end) { loop(begin, end, part); });
  }
  std::int64_t parts() const noexcept { return lines() * (cut ? parts_of(line()) : 1); }

 private:
  template <class F>
  static void loop(std::int64_t begin, std::int64_t end, F& f) {
    for (std::int64_t i = begin; i < end; ++i) f(i);
  }
};

/// The numbers of a vector that may be absent, each repeated `times`.
template <class T>
class Repeated {
 public:
  Repeated(const T* from, std::int64_t n, std::int64_t times, T otherwise)
      : own_(static_cast<std::size_t>(from && times == 1 ? 0 : n * times)),
        data_(from && times == 1 ? from : own_.data()) {
    if (!from)
      std::fill_n(own_.data(), n * times, otherwise);
    else if (times > 1)
      for (std::int64_t i = 0; i < n; ++i) std::fill_n(own_.data() + i * times, times, from[i]);
  }
  const T* data() const noexcept { return data_; }

 private:
  mem::Scratch<T> own_;
  const T* data_;
};

template <class T>
struct Forward {
  const T *x, *weight, *bias;  ///< weight and bias as the plan has them
  double eps;
  T *y, *mean, *variance;
  Plan plan;

  void run() const {
    const GroupGeometry& g = plan.g;
    const std::int64_t n = g.piece();
    if (!plan.elements || plan.cut) return plan.each_piece([&](std::int64_t p) { piece(p); });
    par::chunks(plan.pieces(), grain_of(n), [&](std::int64_t begin, std::int64_t end) {
      group_passes<T>().normalise(x + begin * n, weight, bias, {end - begin, n, begin % g.groups, g.groups},
                                  eps, y + begin * n, mean + begin, variance + begin, plan.stream);
    });
  }

 private:
  void piece(std::int64_t p) const {
    const GroupPasses<T>& passes = group_passes<T>();
    const std::int64_t n = plan.g.piece(), base = p * n;
    const std::int64_t first = p % plan.g.groups * (plan.elements ? n : plan.g.channels);
    statistics(x + base, n, mean + p, variance + p);
    const double r = inverse_deviation(variance[p], eps);
    plan.each_part([&](std::int64_t line, std::int64_t at, std::int64_t length, std::int64_t) {
      const std::int64_t to = base + line * plan.line() + at;
      if (plan.elements)
        return passes.normalise_part(x + to, weight + first + at, bias + first + at, length, mean[p],
                                     static_cast<T>(r), y + to, plan.stream);
      const double scale = static_cast<double>(weight[first + line]) * r;
      passes.normalise_run(x + to, length, mean[p], static_cast<T>(scale), bias[first + line], y + to,
                           plan.stream);
    });
  }

  void statistics(const T* from, std::int64_t n, T* to_mean, T* to_variance) const {
    const T near = near_mean(from, n);
    double sums[2] = {};
    if (!plan.cut) {
      group_passes<T>().moments(from, n, near, sums);
    } else {
      const std::int64_t parts = parts_of(n);
      const mem::Scratch<double> of_parts(static_cast<std::size_t>(2 * parts));
      par::chunks(parts, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          group_passes<T>().moments(from + i * segment, std::min(segment, n - i * segment), near,
                                    of_parts.data() + 2 * i);
      });
      for (std::int64_t i = 0; i < 2 * parts; ++i) sums[i % 2] += of_parts.data()[i];
    }
    finish_statistics(near, sums[0], sums[1], n, to_mean, to_variance);
  }
};

template <class T>
void forward_of(const ConstView& x, const ConstView& weight, const ConstView& bias, double eps, const View& y,
                const View& mean, const View& variance, const GroupGeometry& g) {
  const DenseSource from(x), w(weight), b(bias);
  const Plan plan(g, sizeof(T));
  const std::int64_t numbers = g.groups * g.channels, times = plan.elements ? g.run : 1;
  const Repeated<T> scale(w.as<T>(), numbers, times, T{1}), shift(b.as<T>(), numbers, times, T{0});
  Forward<T>{from.as<T>(), scale.data(), shift.data(), eps, y.as<T>(), mean.as<T>(), variance.as<T>(), plan}
      .run();
}

template <class T>
struct Backward {
  const T *grad, *x, *mean, *variance;
  const T* weight;  ///< as the plan has it
  double eps;
  T *dx, *dweight, *dbias;
  Plan plan;

  void run() const {
    if (!plan.elements)
      by_runs();
    else if (plan.cut)
      by_long_pieces();
    else
      by_rows();
  }

 private:
  std::int64_t numbers() const { return plan.g.groups * plan.g.channels; }

  /// Rows in blocks, each with sums of its own over its rows, which are then added up in order.
  void by_rows() const {
    const GroupGeometry& g = plan.g;
    const std::int64_t width = g.groups * g.piece(), most = std::clamp<std::int64_t>((g.rows + 7) / 8, 8, 32);
    const std::int64_t blocks = (g.rows + most - 1) / most;
    const mem::Scratch<T> sums(static_cast<std::size_t>(blocks * 2 * width));
    par::chunks(blocks, grain_of(most * width), [&](std::int64_t begin, std::int64_t end) {
      std::fill(sums.data() + begin * 2 * width, sums.data() + end * 2 * width, T{0});
      for (std::int64_t b = begin; b < end; ++b) {
        const std::int64_t row = b * most, rows = std::min(most, g.rows - row);
        T* to = sums.data() + b * 2 * width;
        group_passes<T>().gradient(grad + row * width, x + row * width, weight, mean + row * g.groups,
                                   variance + row * g.groups, {rows * g.groups, g.piece(), 0, g.groups}, eps,
                                   dx + row * width, to, to + width, plan.stream);
      }
    });
    add_up(sums.data(), blocks, 2 * width, dweight);
    add_up(sums.data() + width, blocks, 2 * width, dbias);
  }

  void by_long_pieces() const {
    const std::int64_t n = plan.g.piece(), width = plan.g.groups * n, parts = parts_of(n);
    const mem::Scratch<T> sums(static_cast<std::size_t>(2 * width));
    const mem::Scratch<double> of_parts(static_cast<std::size_t>(2 * parts));
    std::fill_n(sums.data(), 2 * width, T{0});
    for (std::int64_t p = 0; p < plan.pieces(); ++p) {
      const std::int64_t base = p * n, first = p % plan.g.groups * n;
      plan.each_part([&](std::int64_t, std::int64_t at, std::int64_t length, std::int64_t i) {
        group_passes<T>().products(grad + base + at, x + base + at, weight + first + at, length, mean[p],
                                   of_parts.data() + 2 * i);
      });
      double both[2] = {};
      for (std::int64_t i = 0; i < 2 * parts; ++i) both[i % 2] += of_parts.data()[i];
      const PieceNumbers<T> of = numbers_of(p, both[0], both[1]);
      plan.each_part([&](std::int64_t, std::int64_t at, std::int64_t length, std::int64_t) {
        T* to = sums.data() + first + at;
        group_passes<T>().gradient_part(grad + base + at, x + base + at, weight + first + at, length, of,
                                        dx + base + at, to, to + width, plan.stream);
      });
    }
    add_up(sums.data(), 1, 2 * width, dweight);
    add_up(sums.data() + width, 1, 2 * width, dbias);
  }

  void by_runs() const {
    const GroupGeometry& g = plan.g;
    const std::int64_t all = g.rows * numbers();
    const mem::Scratch<double> sums(static_cast<std::size_t>(2 * all));  // of a run: sum g, sum g (x - mean)
    plan.each_piece([&](std::int64_t p) { piece_of_runs(p, sums.data() + 2 * p * g.channels); });
    par::chunks(numbers(), grain_of(g.rows), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c) {
        double sum = 0, product = 0;
        for (std::int64_t row = 0; row < g.rows; ++row) {
          const double* of = sums.data() + 2 * (row * numbers() + c);
          sum += of[0];
          product += of[1] * inverse_deviation(variance[row * g.groups + c / g.channels], eps);
        }
        dweight[c] = static_cast<T>(product);
        dbias[c] = static_cast<T>(sum);
      }
    });
  }

  void piece_of_runs(std::int64_t p, double* sums) const {
    const std::int64_t base = p * plan.g.piece(), parts = plan.parts(), lines = plan.lines();
    const T* w = weight + p % plan.g.groups * lines;
    const mem::Scratch<double> own(static_cast<std::size_t>(plan.cut ? 2 * parts : 0));
    double* to = plan.cut ? own.data() : sums;
    plan.each_part([&](std::int64_t line, std::int64_t at, std::int64_t length, std::int64_t i) {
      const std::int64_t from = base + line * plan.line() + at;
      group_passes<T>().products(grad + from, x + from, nullptr, length, mean[p], to + 2 * i);
    });
    if (plan.cut) std::fill_n(sums, 2 * lines, 0.0);
    double first = 0, second = 0;
    for (std::int64_t i = 0; i < parts; ++i) {
      const std::int64_t line = i * lines / parts;
      if (plan.cut) sums[2 * line] += to[2 * i], sums[2 * line + 1] += to[2 * i + 1];
      // An infinite weight times each g of a run has both signs.
      const double by = std::isfinite(w[line]) ? static_cast<double>(w[line]) : std::nan("");
      first += by * to[2 * i];
      second += by * to[2 * i + 1];
    }
    const PieceNumbers<T> of = numbers_of(p, first, second);
    plan.each_part([&](std::int64_t line, std::int64_t at, std::int64_t length, std::int64_t) {
      const std::int64_t from = base + line * plan.line() + at;
      group_passes<T>().gradient_run(grad + from, x + from, w[line], length, of, dx + from, plan.stream);
    });
  }

  PieceNumbers<T> numbers_of(std::int64_t p, double sum, double product) const {
    const double n = static_cast<double>(plan.g.piece()), r = inverse_deviation(variance[p], eps);
    return {mean[p], static_cast<T>(r), static_cast<T>(sum / n), static_cast<T>(r * r * product / n)};
  }

  /// to[c] = the sum over blocks, and over the run of channel c, of sums[block][c run + at], blocks `step`
  /// apart.
  void add_up(const T* sums, std::int64_t blocks, std::int64_t step, T* to) const {
    constexpr std::int64_t most = 512;
    const std::int64_t run = plan.g.run, channels = most / run;  // runs are short here
    par::chunks(numbers(), channels * grain_of(blocks * most), [&](std::int64_t begin, std::int64_t end) {
      double columns[static_cast<std::size_t>(most)];
      for (std::int64_t c = begin; c < end; c += channels) {
        const std::int64_t count = std::min(channels, end - c);
        std::fill_n(columns, count * run, 0.0);
        for (std::int64_t b = 0; b < blocks; ++b)
          group_passes<T>().add(sums + b * step + c * run, count * run, columns);
        for (std::int64_t k = 0; k < count; ++k) {
          double sum = 0;
          for (std::int64_t i = 0; i < run; ++i) sum += columns[k * run + i];
          to[c + k] = static_cast<T>(sum);
        }
      }
    });
  }
};

template <class T>
void backward_of(const ConstView& grad, const ConstView& x, const ConstView& mean, const ConstView& variance,
                 const ConstView& weight, double eps, const View& dx, const View& dweight, const View& dbias,
                 const GroupGeometry& g) {
  const DenseSource gradient(grad), from(x), m(mean), v(variance), w(weight);
  const Plan plan(g, sizeof(T));
  const Repeated<T> scale(w.as<T>(), g.groups * g.channels, plan.elements ? g.run : 1, T{1});
  Backward<T>{gradient.as<T>(), from.as<T>(),    m.as<T>(),     v.as<T>(), scale.data(), eps,
              dx.as<T>(),       dweight.as<T>(), dbias.as<T>(), plan}
      .run();
}

}  // namespace

void group_norm(const ConstView& x, const ConstView& weight, const ConstView& bias, double eps, const View& y,
                const View& mean, const View& variance, const GroupGeometry& g) {
  if (x.dtype == DType::f32)
    forward_of<float>(x, weight, bias, eps, y, mean, variance, g);
  else
    forward_of<double>(x, weight, bias, eps, y, mean, variance, g);
}

void group_norm_backward(const ConstView& grad, const ConstView& x, const ConstView& mean,
                         const ConstView& variance, const ConstView& weight, double eps, const View& dx,
                         const View& dweight, const View& dbias, const GroupGeometry& g) {
  if (x.dtype == DType::f32)
    backward_of<float>(grad, x, mean, variance, weight, eps, dx, dweight, dbias, g);
  else
    backward_of<double>(grad, x, mean, variance, weight, eps, dx, dweight, dbias, g);
}

}  // namespace thalweg::kernels

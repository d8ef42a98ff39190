// The public doors of the matrix product: choice of path, orientation and batches.
// Depends on gemm_driver, copy and par.
#include <thalweg/ops/kernels/gemm.hpp>

#include <atomic>

#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/gemm_driver.hpp>
#include <thalweg/ops/kernels/gemm_vector.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t small_products = 1 << 20;
constexpr std::int64_t small_side = 16;
constexpr std::int64_t batch_products = 1
                                        << 18;  // multiply-adds of a chunk of a batch: about 3 us on one core
constexpr std::int64_t call_products = 1 << 10;  // what the call of a product costs, in multiply-adds

std::atomic<GemmPath> forced{GemmPath::automatic};
std::atomic<std::int64_t> small_count{0}, packed_count{0}, vector_count{0};

void count(GemmPath path, std::int64_t products) noexcept {
  auto& counter = path == GemmPath::small    ? small_count
                  : path == GemmPath::packed ? packed_count
                                             : vector_count;
  counter.fetch_add(products, std::memory_order_relaxed);
}

template <class T>
struct Oriented {
  GemmProblem<T> problem;
  GemmOperand<T> a, b;
  bool turned = false;
};

/// The one row or column of C as a row; `w` is the matrix with the elements of that row as its lanes.
template <class T>
void multiply_vector(const GemmArgs& g, const T* a, const T* b, T* c, bool serial) {
  const auto* bias = static_cast<const T*>(g.bias);
  if (g.m == 1)
    gemm_vector<T>({1, g.n, g.k, c, 0, g.c_col, bias, false, g.act, g.accumulate}, {b, g.b_col, g.b_row}, a,
                   g.a_col, serial);
  else
    gemm_vector<T>({1, g.m, g.k, c, 0, g.c_row, bias, true, g.act, g.accumulate}, {a, g.a_row, g.a_col}, b,
                   g.b_row, serial);
}

/// C = A B, or its transpose C' = B' A' where that gives dense rows of C or spares packing: the same chains,
/// so the same bits.
template <class T>
Oriented<T> orient(const GemmArgs& g) noexcept {
  const GemmOperand<T> a{static_cast<const T*>(g.a), g.a_row, g.a_col},
      b{static_cast<const T*>(g.b), g.b_col, g.b_row};
  T* c = static_cast<T*>(g.c);
  const auto* bias = static_cast<const T*>(g.bias);
  const bool turned_c = g.c_row == 1 && g.c_col != 1 && g.m > 1;
  const bool column_vector = g.n <= 4 && g.m > g.n && g.a_row == 1 && g.a_col != 1;
  if (turned_c || column_vector)
    return {{g.n, g.m, g.k, c, g.c_col, g.c_row, bias, true, g.act, g.accumulate}, b, a, true};
  return {{g.m, g.n, g.k, c, g.c_row, g.c_col, bias, false, g.act, g.accumulate}, a, b, false};
}

template <class T>
void clear(const GemmProblem<T>& p) noexcept {
  fill(View{p.c, dtype_of<T>, {p.m, p.n}, {p.c_row, p.c_col}}, 0);
}

/// k = 0: no driver runs, C is what was there or zeros.
template <class T>
void multiply_nothing(const Oriented<T>& o) noexcept {
  if (!o.problem.accumulate) clear(o.problem);
  gemm_finish(o.problem, 0, o.problem.m, 0, o.problem.n);
}

template <class T>
void multiply(const GemmArgs& g, GemmPath path) {
  const par::FloatEnvironment environment;  // bias and activation of k = 0 run on the caller's thread
  const Oriented<T> o = orient<T>(g);
  if (g.k == 0)
    multiply_nothing(o);
  else if (path == GemmPath::vector)
    multiply_vector<T>(g, static_cast<const T*>(g.a), static_cast<const T*>(g.b), static_cast<T*>(g.c),
                       false);
  else if (path == GemmPath::small && gemm_is_long(g.m, g.n, g.k))
    gemm_long(o.problem, o.a, o.b);
  else if (path == GemmPath::small)
    gemm_small(o.problem, o.a, o.b, false);
  else
    gemm_packed(o.problem, o.a, o.b);
}

/// Walks the offsets of a batch's operands in row-major order.
class BatchWalk {
 public:
  BatchWalk(const GemmBatch& batch, std::int64_t first) noexcept : batch_(batch) {
    for (int d = batch.batch.size() - 1; d >= 0; --d) {
      at_[d] = first % batch.batch[d];
      first /= batch.batch[d];
      move(d, at_[d]);
    }
  }
  void next() noexcept {
    for (int d = batch_.batch.size() - 1; d >= 0; --d) {
      if (++at_[d] < batch_.batch[d]) return move(d, 1);
      move(d, 1 - at_[d]);
      at_[d] = 0;
    }
  }
  std::int64_t a = 0, b = 0, c = 0;

 private:
  void move(int d, std::int64_t steps) noexcept {
    a += steps * batch_.a_strides[d];
    b += steps * batch_.b_strides[d];
    c += steps * batch_.c_strides[d];
  }
  const GemmBatch& batch_;
  std::int64_t at_[8] = {};
};

/// Many small products: each is run whole by one thread.
template <class T>
void multiply_batch(const GemmArgs& g, const GemmBatch& batch, std::int64_t products,
                    GemmPath path) noexcept {
  const Oriented<T> first = orient<T>(g);
  const std::int64_t grain = std::max<std::int64_t>(1, batch_products / (g.m * g.n * g.k + call_products));
  par::chunks(products, grain, [&](std::int64_t begin, std::int64_t end) noexcept {
    BatchWalk at(batch, begin);
    Oriented<T> o = first;
    for (std::int64_t i = begin; i < end; ++i, at.next()) {
      if (path == GemmPath::vector && g.k > 0) {
        multiply_vector<T>(g, static_cast<const T*>(g.a) + at.a, static_cast<const T*>(g.b) + at.b,
                           static_cast<T*>(g.c) + at.c, true);
        continue;
      }
      o.a.data = first.a.data + (o.turned ? at.b : at.a);
      o.b.data = first.b.data + (o.turned ? at.a : at.b);
      o.problem.c = first.problem.c + at.c;
      if (g.k == 0)
        multiply_nothing(o);
      else
        gemm_small(o.problem, o.a, o.b, true);
    }
  });
}

/// A batch whose A and C go on where the last product's rows end, with one B for all, is one taller product.
bool is_one_product(const GemmArgs& g, const GemmBatch& batch) noexcept {
  if (g.m == 1 && g.n > 1 && !g.tall) return false;  // strides must not decide between two chains
  std::int64_t rows = g.m;
  for (int d = batch.batch.size() - 1; d >= 0; --d) {
    if (batch.batch[d] == 1) continue;
    if (batch.b_strides[d] != 0 || batch.a_strides[d] != rows * g.a_row ||
        batch.c_strides[d] != rows * g.c_row)
      return false;
    rows *= batch.batch[d];
  }
  return true;
}

}  // namespace

GemmPath gemm_path(std::int64_t m, std::int64_t n, std::int64_t k, bool tall) noexcept {
  const bool vector = n == 1 || (m == 1 && !tall);
  const GemmPath path = forced.load(std::memory_order_relaxed);
  if (path != GemmPath::automatic && (path != GemmPath::vector || vector)) return path;
  if (vector) return GemmPath::vector;
  return std::min(m, n) <= small_side || k <= gemm_shallow ||
                 m * n <= small_products / std::max<std::int64_t>(1, k) || gemm_is_long(m, n, k)
             ? GemmPath::small
             : GemmPath::packed;
}

void force_gemm_path(GemmPath path) noexcept { forced.store(path, std::memory_order_relaxed); }

GemmCounts gemm_counts() noexcept { return {small_count.load(), packed_count.load(), vector_count.load()}; }

void gemm(const GemmArgs& args) {
  if (args.m == 0 || args.n == 0) return;
  const GemmPath path = gemm_path(args.m, args.n, args.k, args.tall);
  count(path, 1);
  if (args.dtype == DType::f32)
    multiply<float>(args, path);
  else
    multiply<double>(args, path);
}

void gemm_batched(const GemmArgs& args, const GemmBatch& batch) {
  const std::int64_t products = numel(batch.batch);
  if (products == 0 || args.m == 0 || args.n == 0) return;
  if (is_one_product(args, batch)) {
    GemmArgs tall = args;
    tall.m *= products;
    return gemm(tall);
  }
  const GemmPath path = gemm_path(args.m, args.n, args.k, args.tall);
  if (path != GemmPath::packed) {
    count(path, products);
    if (args.dtype == DType::f32) return multiply_batch<float>(args, batch, products, path);
    return multiply_batch<double>(args, batch, products, path);
  }
  const auto size = static_cast<std::int64_t>(itemsize(args.dtype));
  BatchWalk at(batch, 0);
  for (std::int64_t i = 0; i < products; ++i, at.next()) {
    GemmArgs one = args;
    one.a = static_cast<const char*>(args.a) + at.a * size;
    one.b = static_cast<const char*>(args.b) + at.b * size;
    one.c = static_cast<char*>(args.c) + at.c * size;
    gemm(one);
  }
}

GemmArgs gemm_args(const ConstView& a, const ConstView& b, const View& c) noexcept {
  GemmArgs g;
  g.m = a.shape[0], g.n = b.shape[1], g.k = a.shape[1];
  g.a = a.data, g.a_row = a.strides[0], g.a_col = a.strides[1];
  g.b = b.data, g.b_row = b.strides[0], g.b_col = b.strides[1];
  g.c = c.data, g.c_row = c.strides[0], g.c_col = c.strides[1];
  g.dtype = c.dtype;
  return g;
}

}  // namespace thalweg::kernels

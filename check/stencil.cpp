// See stencil.hpp. Depends on fmt.
// Invariant: the numeric side never records; it writes only into copies of the inputs, and puts every element
// back.
#include <thalweg/check/stencil.hpp>

#include <cmath>

#include <fmt/format.h>

namespace thalweg::check {
namespace {

void require_f64(const std::vector<Tensor>& out) {
  for (std::size_t j = 0; j < out.size(); ++j)
    if (counts(out[j]) && out[j].dtype() != DType::f64)
      throw_error<DTypeError>({.op = "gradcheck",
                               .arg = fmt::format("output {}", j),
                               .given = out[j].describe(),
                               .wanted = "f64",
                               .what = "the function leaves f64"});
}

/// All f64 outputs in a row.
std::vector<double> flat(const std::vector<Tensor>& out) {
  require_f64(out);
  std::vector<double> v;
  for (const Tensor& y : out) {
    if (!counts(y)) continue;
    const std::vector<double> part = values(y);
    v.insert(v.end(), part.begin(), part.end());
  }
  return v;
}

}  // namespace

Columns::Columns(const std::vector<Tensor>& in, std::uint64_t fixed) {
  for (std::size_t i = 0; i < in.size(); ++i) {
    if ((i < 64 && ((fixed >> i) & 1u)) || !in[i].defined() || !is_floating(in[i].dtype())) continue;
    if (in[i].dtype() != DType::f64)
      throw_error<DTypeError>({.op = "gradcheck",
                               .arg = fmt::format("input {}", i),
                               .given = in[i].describe(),
                               .wanted = "f64",
                               .what = "differencing in f32 proves nothing; use x.to(DType::f64)"});
    input.push_back(i);
    first.push_back(total);
    total += in[i].numel();
  }
}

std::size_t Columns::slot(std::int64_t column) const {
  std::size_t k = input.size() - 1;
  while (first[k] > column) --k;
  return k;
}

Stencil::Stencil(const Function& fn, const std::vector<Tensor>& in, const Columns& columns)
    : fn_(fn), in_(in), columns_(columns) {
  for (std::size_t i : columns.input) in_[i] = cast(in[i], DType::f64);
  NoGrad off;
  centre_ = flat(fn_(in_));
}

Stencil::Slopes Stencil::along(const Direction& u, double h) {
  std::vector<double> f[7];
  for (int t = -3; t <= 3; ++t) f[t + 3] = t == 0 ? centre_ : moved(u, t * h);
  Slopes s;
  const std::size_t n = centre_.size();
  s.middle.resize(n), s.left.resize(n), s.right.resize(n);
  for (std::size_t j = 0; j < n; ++j) {
    s.middle[j] = (45 * (f[4][j] - f[2][j]) - 9 * (f[5][j] - f[1][j]) + (f[6][j] - f[0][j])) / (60 * h);
    s.right[j] = (-11 * f[3][j] + 18 * f[4][j] - 9 * f[5][j] + 2 * f[6][j]) / (6 * h);
    s.left[j] = (11 * f[3][j] - 18 * f[2][j] + 9 * f[1][j] - 2 * f[0][j]) / (6 * h);
    for (const auto& v : f) s.size = std::fmax(s.size, std::isfinite(v[j]) ? std::fabs(v[j]) : 0);
  }
  return s;
}

double Stencil::unit(std::int64_t column) const {
  const std::size_t k = columns_.slot(column);
  return std::fmax(1, std::fabs(in_[columns_.input[k]].data<double>()[column - columns_.first[k]]));
}

std::vector<double> Stencil::moved(const Direction& u, double t) {
  std::vector<std::pair<double*, double>> old;
  for (const auto& [column, weight] : u) {
    const std::size_t k = columns_.slot(column);
    double* x = in_[columns_.input[k]].mutable_data<double>() + (column - columns_.first[k]);
    old.emplace_back(x, *x);
    *x += t * weight;
  }
  NoGrad off;
  std::vector<double> y = flat(fn_(in_));
  for (auto at = old.rbegin(); at != old.rend(); ++at) *at->first = at->second;
  if (y.size() != centre_.size())
    throw_error<ShapeError>({.op = "gradcheck",
                             .arg = "the function",
                             .given = fmt::format("{} elements", y.size()),
                             .wanted = fmt::format("{}", centre_.size()),
                             .what = "its result changes size with its inputs"});
  return y;
}

Tape::Tape(const Function& fn, const std::vector<Tensor>& in, const Columns& columns)
    : columns_(columns), in_(in) {
  EnableGrad on;
  for (std::size_t i : columns.input) in_[i] = leaf(in[i]);
  out_ = fn(in_);
  require_f64(out_);
  for (const Tensor& y : out_)
    if (counts(y)) rows_ += y.numel();
}

std::vector<double> Tape::pull(const std::vector<double>& v) {
  std::vector<Tensor> seeds(out_.size());
  std::int64_t at = 0;
  for (std::size_t j = 0; j < out_.size(); ++j) {
    if (!counts(out_[j])) continue;
    seeds[j] = from(std::span<const double>(v.data() + at, static_cast<std::size_t>(out_[j].numel())),
                    out_[j].shape());
    at += out_[j].numel();
  }
  // Only the leaves made here are asked for: an input that came with history of its own keeps it.
  std::vector<Tensor> asked(in_.size());
  for (std::size_t i : columns_.input) asked[i] = in_[i];
  const std::vector<Tensor> g = pull_back(out_, asked, seeds, false, true);
  std::vector<double> row;
  for (std::size_t i : columns_.input) {
    const std::vector<double> part = values(g[i]);
    row.insert(row.end(), part.begin(), part.end());
  }
  return row;
}

}  // namespace thalweg::check

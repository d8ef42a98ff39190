// matmul: inference, kernel call, derivative, reference and samples. Depends on functions.hpp, kernels/gemm,
// fmt.
#include <thalweg/ops/structured/matmul.hpp>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/gemm.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

/// An operand as a stack of matrices: a 1-d one gets the missing dimension.
ConstView as_matrices(const ConstView& v, bool left) {
  ConstView m = v;
  if (v.shape.size() > 1) return m;
  m.shape.insert(left ? 0 : 1, 1);
  m.strides.insert(left ? 0 : 1, 0);
  return m;
}

Dims batch_of(const Dims& shape) { return Dims(shape.data(), shape.size() - 2); }

Dims batch_strides(const ConstView& m, const Dims& batch) {
  Dims s = Dims::filled(batch.size(), 0);
  const int own = m.shape.size() - 2;
  for (int d = 0; d < own; ++d)
    if (m.shape[d] != 1) s[batch.size() - own + d] = m.strides[d];
  return s;
}

Dims broadcast_batch(const Ins& in, const Dims& a, const Dims& b) {
  Dims out = Dims::filled(a.size() > b.size() ? a.size() : b.size(), 1);
  for (int d = 1; d <= out.size(); ++d) {
    const std::int64_t x = d <= a.size() ? a[a.size() - d] : 1;
    const std::int64_t y = d <= b.size() ? b[b.size() - d] : 1;
    if (x != y && x != 1 && y != 1)
      in.fail<ShapeError>("", fmt::format("a {} and b {}", describe(in[0]), describe(in[1])),
                          "batch dimensions equal or 1", "batch dimensions do not broadcast");
    out[out.size() - d] = x == 1 ? y : x;
  }
  return out;
}

template <kernels::GemmPath P>
void force(bool on) {
  kernels::force_gemm_path(on ? P : kernels::GemmPath::automatic);
}

/// The last two dims exchanged; of a column or row made from a vector, nothing else.
Tensor swap_last(const Tensor& t) { return transpose(t, -2, -1); }

}  // namespace

const Path Matmul::paths[3] = {
    {"small", &force<kernels::GemmPath::small>, [] { return kernels::gemm_counts().small; }},
    {"packed", &force<kernels::GemmPath::packed>, [] { return kernels::gemm_counts().packed; }},
    {"vector", &force<kernels::GemmPath::vector>, [] { return kernels::gemm_counts().vector; }}};

void Matmul::infer(const Ins& in, const NoAttrs&, Outs& out) {
  require_present(in, 0, "a");
  require_present(in, 1, "b");
  require_floating(in, 0, "a");
  require_floating(in, 1, "b");
  for (int i = 0; i < 2; ++i)
    if (in[i].shape.empty())
      in.fail<ShapeError>(i == 0 ? "a" : "b", describe(in[i]), "1 dimension or more", "no matrix");
  if (in[0].dtype != in[1].dtype)
    in.fail<DTypeError>("b", describe(in[1]), name(in[0].dtype), "operands of different dtypes; use to()");
  const ConstView a = as_matrices(in[0], true), b = as_matrices(in[1], false);
  const std::int64_t k = a.shape.back();
  if (b.shape[b.shape.size() - 2] != k)
    in.fail<ShapeError>("", fmt::format("a {} and b {}", describe(in[0]), describe(in[1])),
                        "the last of a equal to the last but one of b",
                        fmt::format("inner dimensions differ ({} vs {})", k, b.shape[b.shape.size() - 2]));
  Dims shape = broadcast_batch(in, batch_of(a.shape), batch_of(b.shape));
  if (in[0].shape.size() > 1) shape.push_back(a.shape[a.shape.size() - 2]);
  if (in[1].shape.size() > 1) shape.push_back(b.shape.back());
  out.add(in[0].dtype, shape);
}

void Matmul::run(const Ins& in, const View* out, const NoAttrs&) {
  const ConstView a = as_matrices(in[0], true), b = as_matrices(in[1], false);
  View c = out[0];
  if (in[1].shape.size() == 1) {
    c.shape.push_back(1);
    c.strides.push_back(1);
  }
  if (in[0].shape.size() == 1) {
    c.shape.insert(c.shape.size() - 1, 1);
    c.strides.insert(c.strides.size() - 1, 0);
  }
  const int ra = a.shape.size(), rb = b.shape.size(), rc = c.shape.size();
  const Dims batch = batch_of(c.shape);
  kernels::GemmArgs g;
  g.m = c.shape[rc - 2];
  g.n = c.shape[rc - 1];
  g.k = a.shape[ra - 1];
  g.a = a.data, g.a_row = a.strides[ra - 2], g.a_col = a.strides[ra - 1];
  g.b = b.data, g.b_row = b.strides[rb - 2], g.b_col = b.strides[rb - 1];
  g.c = c.data, g.c_row = c.strides[rc - 2], g.c_col = c.strides[rc - 1];
  g.dtype = c.dtype;
  g.tall = rb == 2 && numel(batch) > 1;  // one matrix for a batch of rows
  if (batch.empty())
    kernels::gemm(g);
  else
    kernels::gemm_batched(
        g, {batch, batch_strides(a, batch), batch_strides(b, batch), Dims(c.strides.data(), rc - 2)});
}

void Matmul::vjp(Vjp& v, const NoAttrs&) {
  // With vectors written as matrices, da = g b', db = a' g; the engine sums broadcast batch dimensions away.
  const bool a_vector = (v.needs(0) ? v.in_meta(0).shape.size() : v.in(0).dim()) == 1;
  const bool b_vector = (v.needs(1) ? v.in_meta(1).shape.size() : v.in(1).dim()) == 1;
  Tensor g = v.g();
  if (b_vector) g = unsqueeze(g, -1);
  if (a_vector) g = unsqueeze(g, -2);
  if (v.needs(0)) {
    const Tensor b = b_vector ? unsqueeze(v.in(1), -1) : v.in(1);
    const Tensor da = matmul(g, swap_last(b));
    v.set(0, a_vector ? squeeze(da, -2) : da);
  }
  if (v.needs(1)) {
    Tensor a = a_vector ? unsqueeze(v.in(0), -2) : v.in(0);
    // One matrix for the whole batch: its gradient is one taller product, not a batch of them to be summed.
    if (!a_vector && v.in_meta(1).shape.size() == 2 && g.dim() > 2 && g.numel() > 0 && a.numel() > 0) {
      a = reshape(a, {-1, a.shape().back()});
      g = reshape(g, {-1, g.shape().back()});
    }
    const Tensor db = matmul(swap_last(a), g);
    v.set(1, b_vector ? squeeze(db, -1) : db);
  }
}

std::vector<Tensor> Matmul::reference(const std::vector<Tensor>& in, const NoAttrs&) {
  const Tensor a = in[0].dim() == 1 ? in[0].reshape({1, in[0].shape()[0]}) : in[0];
  const Tensor b = in[1].dim() == 1 ? in[1].reshape({in[1].shape()[0], 1}) : in[1];
  const ConstView views[] = {in[0].view(), in[1].view()};
  Outs outs;
  infer({"matmul", {}, 2, views, 3}, {}, outs);
  Dims batch = broadcast_batch({"matmul", {}, 2, views, 3}, batch_of(a.shape()), batch_of(b.shape()));
  Dims full = batch;
  full.push_back(a.shape()[a.dim() - 2]);
  full.push_back(b.shape().back());
  Tensor y = zeros(full, DType::f64);
  const auto pick = [&](const Tensor& t, const Dims& index, std::int64_t r, std::int64_t c) {
    Dims at = Dims::filled(t.dim(), 0);
    for (int d = 0; d < t.dim() - 2; ++d) at[d] = t.shape()[d] == 1 ? 0 : index[full.size() - t.dim() + d];
    at[t.dim() - 2] = r;
    at[t.dim() - 1] = c;
    return value_at(t, at);
  };
  for_each_index(full, [&](const Dims& index) {
    const std::int64_t i = index[full.size() - 2], j = index[full.size() - 1];
    double total = 0;
    for (std::int64_t k = 0; k < a.shape().back(); ++k) total += pick(a, index, i, k) * pick(b, index, k, j);
    set_value(y, index, total);
  });
  return {y.reshape(outs.meta[0].shape)};
}

void Matmul::samples(SampleList& s) {
  s.add({s.normal({3, 4}), s.normal({4, 2})});
  s.add({s.normal({4}), s.normal({4})});
  s.add({s.normal({4}), s.normal({4, 3})});
  s.add({s.normal({3, 4}), s.normal({4})});
  s.add({s.normal({2, 3, 4}), s.normal({2, 4, 2})});
  s.add({s.normal({2, 1, 3, 4}), s.normal({3, 4, 2})}, NoAttrs{}, "broadcast batch");
  s.add({s.normal({2, 3, 4}), s.normal({4})});
  s.add({s.normal({2, 3, 4}), s.normal({4, 3})}, NoAttrs{}, "one matrix for a batch");
  s.add({s.normal({3, 0}), s.normal({0, 2})}, NoAttrs{}, "empty inner dimension");
  s.add({s.normal({0, 3}), s.normal({3, 2})}, NoAttrs{}, "empty");
  s.add({s.normal({17, 33}), s.normal({33, 19})}, NoAttrs{}, "tile edges");
  s.add({s.normal({3, 3}), s.normal({3, 3})}, NoAttrs{},
        "square");  // a transpose too many has the same shape
}

void Matmul::errors(ErrorList& e) {
  e.add<ShapeError>({zeros({4, 3}), zeros({5, 2})},
                    "matmul: inner dimensions differ (3 vs 5): given a f32[4,3] and b f32[5,2]",
                    "ShapeError");
  e.add<ShapeError>({zeros({}), zeros({5, 2})}, "no matrix", "ShapeError");
  e.add<ShapeError>({zeros({2, 4, 3}), zeros({3, 3, 5})}, "batch", "ShapeError");
  e.add<DTypeError>({zeros({4, 3}, DType::i64), zeros({3, 2})}, "not a floating", "DTypeError");
  e.add<DTypeError>({zeros({4, 3}), zeros({3, 2}, DType::f64)}, "different dtypes", "DTypeError");
  e.add<ValueError>({zeros({4, 3}), Tensor()}, "undefined tensor", "ValueError");
}

}  // namespace thalweg::ops

namespace thalweg {

Tensor matmul(Arg a, Arg b) { return apply<ops::Matmul>(a, b); }

void describe_matmul(std::vector<OpInfo>& to) { describe_all(ops::MatmulOps{}, to); }

}  // namespace thalweg

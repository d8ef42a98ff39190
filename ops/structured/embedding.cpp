// Embedding: checks, kernel call, derivative, reference, samples, the public function. Depends on functions.hpp,
// kernels/index, fmt. Invariant: every index is checked before its row is read, and named by its place.
#include <thalweg/ops/structured/embedding.hpp>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/index.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

/// The row that gets no gradient, or -1.
std::int64_t padding_row(const EmbeddingOptions& t, std::int64_t rows) {
  if (!t.padding_idx) return -1;
  return *t.padding_idx < 0 ? *t.padding_idx + rows : *t.padding_idx;
}

/// Throws IndexError naming the first index that is no row.
void fail_index(const Ins& in) {
  const ConstView& index = in[1];
  const std::int64_t rows = in[0].shape[0];
  std::int64_t at = kernels::first_out_of_range(index, rows), offset = 0;
  Dims position = index.shape;
  for (int d = position.size() - 1; d >= 0; --d) {
    position[d] = at % index.shape[d];
    at /= index.shape[d];
    offset += position[d] * index.strides[d];
  }
  const std::int64_t value =
      index.dtype == DType::i64 ? index.as<std::int64_t>()[offset] : index.as<std::int32_t>()[offset];
  in.fail<IndexError>(fmt::format("index at {}", to_string(position)).c_str(), fmt::format("{}", value),
                      rows == 0 ? std::string("no entry: the table is empty") : fmt::format("0 to {}", rows - 1),
                      "index out of range");
}

}  // namespace

void Embedding::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "weight");
  require_present(in, 1, "index");
  const ConstView &weight = in[0], &index = in[1];
  if (weight.shape.size() != 2)
    in.fail<ShapeError>("weight", describe(weight), "[rows, features]", "not a table");
  if (index.dtype != DType::i64 && index.dtype != DType::i32)
    in.fail<DTypeError>("index", describe(index), "i64 or i32", "not an index");
  if (index.shape.size() == max_dims)
    in.fail<ShapeError>("index", describe(index), fmt::format("at most {} dimensions", max_dims - 1),
                        "no room for a dimension");
  const std::int64_t rows = weight.shape[0], padding = padding_row(t, rows);
  if (t.padding_idx && (padding < 0 || padding >= rows))
    in.fail<IndexError>("padding_idx", fmt::format("{}", *t.padding_idx),
                        fmt::format("{} to {}", -rows, rows - 1), "no such row");
  Dims shape = index.shape;
  shape.push_back(weight.shape[1]);
  out.add(weight.dtype, shape);
}

void Embedding::run(const Ins& in, const View* out, const Attrs&) {
  if (!kernels::index_select(in[0], 0, in[1], out[0])) fail_index(in);
}

void Embedding::vjp(Vjp& v, const Attrs& t) {
  const Meta table = v.in_meta(0);
  const std::int64_t rows = table.shape[0], features = table.shape[1], padding = padding_row(t, rows);
  const Tensor index = v.in(1), flat = reshape(index, {index.numel()});
  const Tensor g = reshape(v.g(), {index.numel(), features}), zero = scalar(0, table.dtype);
  if (padding < 0) return v.set(0, index_add(expand(zero, table.shape), 0, flat, g));
  // What would go to the padding's row goes to one more row, which is then left out.
  const Tensor wide = flat.to(DType::i64), to = where(not_equal(wide, like(padding, wide)), wide, like(rows, wide));
  v.set(0, slice(index_add(expand(zero, {rows + 1, features}), 0, to, g), 0, 0, rows));
}

std::vector<Tensor> Embedding::reference(const std::vector<Tensor>& in, const Attrs&) {
  Dims shape = in[1].shape();
  shape.push_back(in[0].shape()[1]);
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& at) {
    Dims place = at;
    const std::int64_t column = at[at.size() - 1];
    place.erase(at.size() - 1);
    set_value(y, at, value_at(in[0], {static_cast<std::int64_t>(value_at(in[1], place)), column}));
  });
  return {y};
}

void Embedding::samples(SampleList& s) {
  s.add({s.normal({4, 3}), s.integers({5}, 0, 4)});
  s.add({s.normal({4, 3}), s.integers({2, 3}, 0, 4)}, Attrs{}, "a batch of sequences");
  s.add({s.normal({4, 3}), from<std::int64_t>({2}, {})}, Attrs{}, "0-d index");
  s.add({s.normal({4, 3}), zeros({0}, DType::i64)}, Attrs{}, "no index");
  s.add({s.normal({4, 2}), from<std::int64_t>({0, 1, 3}, {3})}, Attrs{.padding_idx = 2}, "padding elsewhere");
  s.add_kink({s.normal({3, 2}), from<std::int64_t>({0, 2, 1, 2, 0}, {5})}, Attrs{.padding_idx = 2},
             {from({2.0, 2.0, 1.0, 1.0, 0.0, 0.0}, {3, 2}), Tensor()}, "padding");
  s.add_kink({s.normal({3, 2}), from<std::int64_t>({0, 1}, {2})}, Attrs{.padding_idx = -3},
             {from({0.0, 0.0, 1.0, 1.0, 0.0, 0.0}, {3, 2}), Tensor()}, "padding from the end");
}

void Embedding::errors(ErrorList& e) {
  const Tensor w = zeros({4, 3}), i = zeros({2}, DType::i64);
  e.add<IndexError>({w, from<std::int64_t>({0, 1, 2, 4}, {2, 2})},
                    "embedding: index out of range: index at [1,1] is 4, wanted 0 to 3", "IndexError");
  e.add<IndexError>({w, from<std::int64_t>({-1}, {1})}, "index at [0] is -1", "IndexError");
  e.add<IndexError>({zeros({0, 3}), i}, "the table is empty", "IndexError");
  e.add<IndexError>({w, i}, Attrs{.padding_idx = 4}, "padding_idx is 4, wanted -4 to 3", "IndexError");
  e.add<IndexError>({w, i}, Attrs{.padding_idx = -5}, "padding_idx is -5", "IndexError");
  e.add<ShapeError>({zeros({4}), i}, "embedding: not a table: weight is f32[4], wanted [rows, features]",
                    "ShapeError");
  e.add<DTypeError>({w, zeros({2})}, "index is f32[2], wanted i64 or i32", "DTypeError");
  e.add<ValueError>({Tensor(), i}, "undefined tensor: weight", "ValueError");
  e.add<ValueError>({w, Tensor()}, "undefined tensor: index", "ValueError");
}

}  // namespace thalweg::ops

namespace thalweg {

Tensor embedding(Arg weight, Arg index, EmbeddingOptions options) {
  return apply<ops::Embedding>(options, weight, index);
}

void describe_embedding(std::vector<OpInfo>& to) { describe_all(ops::EmbeddingOps{}, to); }

}  // namespace thalweg

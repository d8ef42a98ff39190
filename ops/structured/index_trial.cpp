// References, samples and bad arguments of the index ops. Depends on sample.hpp only.
// Invariant: samples use an index more than once and leave one out, so that sums and zeros both show.
#include <thalweg/ops/structured/index.hpp>

namespace thalweg::ops {
namespace {

using References = std::vector<Tensor>;

int wrapped(std::int64_t d, const Tensor& x) { return static_cast<int>(d < 0 ? d + x.dim() : d); }

Tensor copied(const Tensor& x) {
  Tensor y = zeros(x.shape(), DType::f64);
  for_each_index(x.shape(), [&](const Dims& index) { set_value(y, index, value_at(x, index)); });
  return y;
}

void add_value(Tensor& y, const Dims& at, double v) { set_value(y, at, value_at(y, at) + v); }

std::int64_t position(const Tensor& index, const Dims& at) {
  return static_cast<std::int64_t>(value_at(index, at));
}

Tensor ids(std::initializer_list<std::int64_t> values, const Dims& shape) { return from(values, shape); }

}  // namespace

// ---- gather ----

References Gather::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int d = wrapped(t.dim, in[0]);
  Tensor y = zeros(in[1].shape(), DType::f64);
  for_each_index(in[1].shape(), [&](const Dims& index) {
    Dims at = index;
    at[d] = position(in[1], index);
    set_value(y, index, value_at(in[0], at));
  });
  return {y};
}

void Gather::samples(SampleList& s) {
  s.add({s.normal({3, 4}), ids({0, 2, 2, 0, 1, 0, 2, 2}, {2, 4})});
  s.add({s.normal({3, 4}), ids({3, 3, 0, 1, 1, 1}, {3, 2})}, Attrs{-1}, "last dim");
  s.add({s.normal({2, 3, 2}), ids({2, 1, 2, 0}, {1, 4, 1})}, Attrs{1}, "smaller index");
  s.add({s.normal({3}), s.integers({0}, 0, 3)}, Attrs{0}, "empty");
}

void Gather::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  const Tensor i = ids({0, 1}, {1, 2});
  e.add<IndexError>({x, ids({0, 2}, {1, 2})}, Attrs{0},
                    "gather: index out of range: index is 2 (element 1), wanted 0 to 1", "IndexError");
  e.add<IndexError>({x, ids({-1, 0}, {1, 2})}, Attrs{0}, "index is -1 (element 0)", "IndexError");
  e.add<IndexError>({x, ids({INT64_MIN, 0}, {1, 2})}, Attrs{0}, "index out of range", "IndexError");
  e.add<IndexError>({x, i}, Attrs{2}, "gather: dimension out of range: dim is 2, wanted -2 to 1",
                    "IndexError");
  e.add<IndexError>({x, i}, Attrs{INT64_MIN}, "dimension out of range", "IndexError");
  e.add<ShapeError>({x, ids({0, 1}, {2})}, Attrs{0}, "gather: index does not fit: index is i64[2]",
                    "ShapeError");
  e.add<ShapeError>({x, ids({0, 0, 0}, {3, 1})}, Attrs{1}, "index does not fit", "ShapeError");
  e.add<DTypeError>({x, zeros({1, 2})}, Attrs{0}, "gather: not an index: index is f32[1,2]", "DTypeError");
  e.add<ValueError>({Tensor(), i}, Attrs{0}, "undefined tensor: x", "ValueError");
  e.add<ValueError>({x, Tensor()}, Attrs{0}, "undefined tensor: index", "ValueError");
}

// ---- scatter_add ----

References ScatterAdd::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int d = wrapped(t.dim, in[0]);
  Tensor y = copied(in[0]);
  for_each_index(in[1].shape(), [&](const Dims& index) {
    Dims at = index;
    at[d] = position(in[1], index);
    add_value(y, at, value_at(in[2], index));
  });
  return {y};
}

void ScatterAdd::samples(SampleList& s) {
  s.add({s.normal({3, 4}), ids({0, 2, 2, 0, 1, 0, 2, 2}, {2, 4}), s.normal({2, 4})});
  s.add({s.normal({3, 4}), ids({3, 3, 0, 1, 1, 1}, {3, 2}), s.normal({3, 2})}, Attrs{-1}, "last dim");
  s.add({s.normal({2, 3, 2}), ids({2, 1, 2, 0}, {1, 4, 1}), s.normal({1, 4, 1})}, Attrs{1}, "smaller index");
  s.add({s.normal({3}), s.integers({0}, 0, 3), s.normal({0})}, Attrs{0}, "empty");
}

void ScatterAdd::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3}), source = zeros({1, 2});
  const Tensor i = ids({0, 1}, {1, 2});
  e.add<IndexError>({x, ids({0, 2}, {1, 2}), source}, Attrs{0},
                    "scatter_add: index out of range: index is 2 (element 1), wanted 0 to 1", "IndexError");
  e.add<IndexError>({x, ids({INT64_MIN, 0}, {1, 2}), source}, Attrs{0}, "index out of range", "IndexError");
  e.add<IndexError>({x, i, source}, Attrs{2}, "dimension out of range", "IndexError");
  e.add<ShapeError>({x, i, zeros({2, 2})}, Attrs{0},
                    "scatter_add: source does not fit x and index: source is f32[2,2], wanted f32[1,2]",
                    "ShapeError");
  e.add<ShapeError>({x, ids({0, 1}, {2}), source}, Attrs{0}, "index does not fit", "ShapeError");
  e.add<DTypeError>({x, zeros({1, 2}), source}, Attrs{0}, "not an index", "DTypeError");
  e.add<DTypeError>({x, i, zeros({1, 2}, DType::f64)}, Attrs{0}, "different dtypes", "DTypeError");
  e.add<DTypeError>({zeros({2, 3}, DType::boolean), i, zeros({1, 2}, DType::boolean)}, Attrs{0},
                    "bool has no sum", "DTypeError");
  e.add<ValueError>({Tensor(), i, source}, Attrs{0}, "undefined tensor: x", "ValueError");
  e.add<ValueError>({x, Tensor(), source}, Attrs{0}, "undefined tensor: index", "ValueError");
  e.add<ValueError>({x, i, Tensor()}, Attrs{0}, "undefined tensor: source", "ValueError");
}

// ---- index_select ----

References IndexSelect::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int d = wrapped(t.dim, in[0]);
  Dims shape = in[0].shape();
  shape[d] = in[1].numel();
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    at[d] = position(in[1], {index[d]});
    set_value(y, index, value_at(in[0], at));
  });
  return {y};
}

void IndexSelect::samples(SampleList& s) {
  s.add({s.normal({4, 3}), ids({3, 0, 3, 1, 3}, {5})});
  s.add({s.normal({2, 4, 3}), ids({1, 1, 3}, {3})}, Attrs{-2}, "middle dim");
  s.add({s.normal({2, 3}), ids({2, 0}, {2})}, Attrs{1}, "last dim");
  s.add({s.normal({4}), s.integers({0}, 0, 4)}, Attrs{0}, "empty");
}

void IndexSelect::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  const Tensor i = ids({0, 1}, {2});
  e.add<IndexError>({x, ids({0, 2}, {2})}, Attrs{0},
                    "index_select: index out of range: index is 2 (element 1), wanted 0 to 1", "IndexError");
  e.add<IndexError>({x, ids({INT64_MIN}, {1})}, Attrs{0}, "index out of range", "IndexError");
  e.add<IndexError>({zeros({0, 3}), i}, Attrs{0}, "nothing to point at", "IndexError");
  e.add<IndexError>({x, i}, Attrs{2}, "dimension out of range", "IndexError");
  e.add<IndexError>({x, i}, Attrs{INT64_MIN}, "dimension out of range", "IndexError");
  e.add<ShapeError>({x, ids({0, 1}, {1, 2})}, Attrs{0},
                    "index_select: index does not fit: index is i64[1,2], wanted a vector", "ShapeError");
  e.add<DTypeError>({x, zeros({2})}, Attrs{0}, "not an index", "DTypeError");
  e.add<ValueError>({Tensor(), i}, Attrs{0}, "undefined tensor: x", "ValueError");
  e.add<ValueError>({x, Tensor()}, Attrs{0}, "undefined tensor: index", "ValueError");
}

// ---- index_add ----

References IndexAdd::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int d = wrapped(t.dim, in[0]);
  Tensor y = copied(in[0]);
  for_each_index(in[2].shape(), [&](const Dims& index) {
    Dims at = index;
    at[d] = position(in[1], {index[d]});
    add_value(y, at, value_at(in[2], index));
  });
  return {y};
}

void IndexAdd::samples(SampleList& s) {
  s.add({s.normal({4, 3}), ids({3, 0, 3, 1, 3}, {5}), s.normal({5, 3})});
  s.add({s.normal({2, 4, 3}), ids({1, 1, 3}, {3}), s.normal({2, 3, 3})}, Attrs{-2}, "middle dim");
  s.add({s.normal({2, 3}), ids({2, 0}, {2}), s.normal({2, 2})}, Attrs{1}, "last dim");
  s.add({s.normal({4}), s.integers({0}, 0, 4), s.normal({0})}, Attrs{0}, "empty");
}

void IndexAdd::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3}), source = zeros({2, 3});
  const Tensor i = ids({0, 1}, {2});
  e.add<IndexError>({x, ids({0, 2}, {2}), source}, Attrs{0},
                    "index_add: index out of range: index is 2 (element 1), wanted 0 to 1", "IndexError");
  e.add<IndexError>({x, ids({INT64_MIN, 0}, {2}), source}, Attrs{0}, "index out of range", "IndexError");
  e.add<IndexError>({x, i, source}, Attrs{-3}, "dimension out of range", "IndexError");
  e.add<ShapeError>({x, i, zeros({3, 3})}, Attrs{0},
                    "index_add: source does not fit x and index: source is f32[3,3], wanted f32[2,3]",
                    "ShapeError");
  e.add<ShapeError>({x, ids({0, 1}, {1, 2}), source}, Attrs{0}, "index does not fit", "ShapeError");
  e.add<DTypeError>({x, zeros({2}), source}, Attrs{0}, "not an index", "DTypeError");
  e.add<DTypeError>({x, i, zeros({2, 3}, DType::f64)}, Attrs{0}, "different dtypes", "DTypeError");
  e.add<DTypeError>({zeros({2, 3}, DType::boolean), i, zeros({2, 3}, DType::boolean)}, Attrs{0},
                    "bool has no sum", "DTypeError");
  e.add<ValueError>({Tensor(), i, source}, Attrs{0}, "undefined tensor: x", "ValueError");
  e.add<ValueError>({x, Tensor(), source}, Attrs{0}, "undefined tensor: index", "ValueError");
  e.add<ValueError>({x, i, Tensor()}, Attrs{0}, "undefined tensor: source", "ValueError");
}

// ---- one_hot ----

References OneHot::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Dims shape = in[0].shape();
  shape.push_back(t.classes);
  Tensor y = zeros(shape, DType::f64);
  for_each_index(in[0].shape(), [&](const Dims& index) {
    Dims at = index;
    at.push_back(position(in[0], index));
    set_value(y, at, 1);
  });
  return {y};
}

void OneHot::samples(SampleList& s) {
  s.add({s.integers({5}, 0, 3)}, Attrs{3, DType::f64});
  s.add({s.integers({2, 3}, 0, 4)}, Attrs{4, DType::f32}, "f32");
  s.add({s.integers({}, 0, 2)}, Attrs{2, DType::f64}, "0-d");
  s.add({s.integers({0}, 0, 2)}, Attrs{2, DType::f64}, "empty");
}

void OneHot::errors(ErrorList& e) {
  e.add<IndexError>({ids({0, 3}, {2})}, Attrs{3},
                    "one_hot: index out of range: index is 3 (element 1), wanted 0 to 2", "IndexError");
  e.add<IndexError>({ids({INT64_MIN}, {1})}, Attrs{3}, "index out of range", "IndexError");
  e.add<IndexError>({ids({0}, {1})}, Attrs{0}, "nothing to point at", "IndexError");
  e.add<ValueError>({ids({0}, {1})}, Attrs{-1}, "one_hot: negative count: classes is -1, wanted 0 or more",
                    "ValueError");
  e.add<ShapeError>({ids({0, 1}, {2})}, Attrs{INT64_MAX}, "size overflows", "ShapeError");
  e.add<ShapeError>({zeros({1, 1, 1, 1, 1, 1, 1, 1}, DType::i64)}, Attrs{3}, "no room", "ShapeError");
  e.add<DTypeError>({zeros({2})}, Attrs{3}, "one_hot: not an index: index is f32[2]", "DTypeError");
  e.add<ValueError>({Tensor()}, Attrs{3}, "undefined tensor", "ValueError");
}

}  // namespace thalweg::ops

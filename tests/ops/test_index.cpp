// Index ops beyond their samples: strided and narrow indices, repeated ones, embeddings, and who is told of a
// bad entry.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

Tensor counted(const Dims& shape) {
  return arange(0, static_cast<double>(numel(shape)), 1, DType::f64).reshape(shape);
}

}  // namespace

TEST_CASE("an index may be i32, transposed or repeated by expand") {
  const Tensor x = counted({3, 2});
  const Tensor wide = from<std::int64_t>({2, 0, 1, 1, 2, 0}, {2, 3});
  const Tensor narrow = wide.to(DType::i32);
  for (const Tensor& index : {wide, narrow}) {
    const Tensor y = gather(x, 0, index.t());
    CHECK(y.shape() == Dims{3, 2});
    const double expected[] = {4, 3, 0, 5, 2, 1};
    for (int i = 0; i < 6; ++i) CHECK(y.data<double>()[i] == expected[i]);
  }
  const Tensor same = gather(x, 0, expand(from<std::int64_t>({1}), {1, 2}));
  CHECK(same.data<double>()[1] == 3);
}

TEST_CASE("gather reads and scatter_add writes through strided sources") {
  const Tensor x = counted({2, 3}).t();  // [3,2]
  const Tensor index = from<std::int64_t>({2, 2}, {1, 2});
  const Tensor y = gather(x, 0, index);
  CHECK(y.data<double>()[0] == 2);
  CHECK(y.data<double>()[1] == 5);
  const Tensor z = scatter_add(x, 0, index, select(counted({1, 2, 2}), 2, 1));
  CHECK(z.shape() == Dims{3, 2});
  CHECK(z.data<double>()[4] == 3);
  CHECK(z.data<double>()[5] == 8);
  CHECK(x.data<double>()[2] == 2);  // x itself is as it was
}

TEST_CASE("an embedding's gradient adds up over repeated rows and leaves the others zero") {
  const Tensor table = counted({5, 2}).set_requires_grad();
  const Tensor ids = from<std::int64_t>({3, 1, 3, 3});
  const Tensor rows = index_select(table, 0, ids);
  sum(rows * rows).backward();
  const double expected[] = {0, 0, 4, 6, 0, 0, 36, 42, 0, 0};
  for (int i = 0; i < 10; ++i) CHECK(table.grad().data<double>()[i] == expected[i]);
}

TEST_CASE("adding by index has the same bits for any number of threads") {
  Generator generator(11);
  const Tensor source = rand({20000, 8}, generator);
  const Tensor index = (rand({20000}, generator) * 50.0).to(DType::i64);
  const int threads = par::num_threads();
  Tensor first;
  for (int n : {1, 2, 7}) {
    par::set_num_threads(n);
    const Tensor y = index_add(zeros({50, 8}), 0, index, source);
    if (!first.defined()) first = y;
    bool same = true;
    for (int i = 0; i < 400; ++i) same = same && y.data<float>()[i] == first.data<float>()[i];
    CHECK(same);
  }
  par::set_num_threads(threads);
}

TEST_CASE("one_hot in any dtype, without gradient") {
  const Tensor y = one_hot(from<std::int32_t>({2, 0}), 3, DType::boolean);
  CHECK(y.shape() == Dims{2, 3});
  const bool expected[] = {false, false, true, true, false, false};
  for (int i = 0; i < 6; ++i) CHECK(y.data<bool>()[i] == expected[i]);
  CHECK_FALSE(one_hot(from<std::int64_t>({1}), 2).requires_grad());
}

TEST_CASE("a bad entry is named with its place and the user's line") {
  const Tensor x = counted({3, 2});
  std::string text;
  const int line = __LINE__ + 2;
  try {
    index_select(x, 0, from<std::int64_t>({0, 1, -4}));
  } catch (const IndexError& e) {
    text = e.what();
    CHECK(e.op() == "index_select");
    CHECK(e.loc().line == line);
  }
  CHECK(text.find("index out of range: index is -4 (element 2), wanted 0 to 2") != std::string::npos);
  try {
    gather(x, 0, from<std::int64_t>({0, 1, 2, 9}, {2, 2}).t());
  } catch (const IndexError& e) {
    text = e.what();
  }
  CHECK(text.find("index is 9 (element 3)") != std::string::npos);
  try {
    gather(x, 0, from<std::int64_t>({0, 8, 2, 1}, {2, 2}).t());
  } catch (const IndexError& e) {
    text = e.what();
  }
  CHECK(text.find("index is 8 (element 2)") != std::string::npos);
}

TEST_CASE("gather and scatter_add name the first index out of range wherever it stands, along rows and columns") {
  const Dims shape{70, 130};
  for (const int dim : {0, 1})
    for (const std::int64_t at : {0, 129, 130, 4567, 9099})
      for (const std::int64_t bad : {std::int64_t{-1}, shape[dim], INT64_MIN, INT64_MAX}) {
        Tensor index = zeros(shape, DType::i64);
        index.mutable_data<std::int64_t>()[at] = bad;
        index.mutable_data<std::int64_t>()[9099] = bad;
        const std::string text = "(element " + std::to_string(at) + ")";
        const Tensor x = ones(shape);
        for (const bool add : {false, true}) {
          std::string said;
          try {
            if (add) scatter_add(x, dim, index, x);
            else gather(x, dim, index);
          } catch (const IndexError& e) {
            said = e.what();
          }
          INFO(said);
          CHECK(said.find(text) != std::string::npos);
          CHECK(said.find("index out of range") != std::string::npos);
        }
      }
}

TEST_CASE("an embedding's padding gets exactly 0 whatever flows into it, in every order of derivative") {
  const Tensor table = counted({5, 2}).set_requires_grad();
  const Tensor index = from<std::int32_t>({3, 1, 4, 3, 1, 0}, {2, 3}).t();
  const Tensor g = counted({3, 2, 2}).set_requires_grad();
  const double infinite = std::numeric_limits<double>::infinity();
  const Tensor odd = where(unsqueeze(not_equal(index, like(1, index)), 2), g, like(infinite, g));
  for (const std::int64_t padding : {1, -4})
    for (const Tensor& flow : {g, odd}) {
      const Tensor y = embedding(table, index, {.padding_idx = padding});
      CHECK(y.shape() == Dims{3, 2, 2});
      CHECK(y.contiguous().data<double>()[4] == 2);  // padding is looked up like any other row
      const Tensor d = grad({y}, {table}, {.grad_outputs = {flow}, .retain_graph = true, .create_graph = true})[0];
      const double expected[] = {10, 11, 0, 0, 0, 0, 0 + 2, 1 + 3, 8, 9};
      for (int i = 0; i < 10; ++i) CHECK(d.contiguous().data<double>()[i] == expected[i]);
      CHECK_FALSE(std::signbit(d.contiguous().data<double>()[2]));
      const Tensor second = grad({d}, {g}, {.grad_outputs = {counted({5, 2}) + 1.0}, .retain_graph = true})[0];
      const double back[] = {7, 8, 7, 8, 0, 0, 0, 0, 9, 10, 1, 2};
      for (int i = 0; i < 12; ++i) CHECK(second.contiguous().data<double>()[i] == back[i]);
    }
}

TEST_CASE("an embedding names the first bad index by its place, in a table of any width") {
  for (const std::int64_t features : {0, 1, 3, 20000})
    for (const std::int64_t bad : {0, 41, 99}) {
      Tensor index = zeros({20, 5}, DType::i64);
      index.mutable_data<std::int64_t>()[bad] = 7;
      index.mutable_data<std::int64_t>()[99] = 7;
      std::string said;
      try {
        embedding(ones({7, features}), index);
      } catch (const IndexError& e) {
        said = e.what();
      }
      INFO(said);
      const std::string place = std::to_string(bad / 5) + "," + std::to_string(bad % 5);
      CHECK(said.find("embedding: index out of range: index at [" + place + "] is 7, wanted 0 to 6") == 0);
    }
}

// data/dataset: rows by number, subsets, the split, and bytes as numbers in [0, 1].
#include <array>
#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/dataset.hpp>
#include <thalweg/data/idx.hpp>

using namespace thalweg;
using data::Batch;
using data::Subset;
using data::TensorDataset;

namespace {

using Indices = std::vector<std::int64_t>;

/// Row i holds 3i, 3i + 1, 3i + 2.
Tensor rows_of_three(std::int64_t n) {
  Tensor t = empty({n, 3});
  auto* p = t.mutable_data<float>();
  for (std::int64_t i = 0; i < 3 * n; ++i) p[i] = static_cast<float>(i);
  return t;
}

TensorDataset numbered(std::int64_t n) { return TensorDataset(rows_of_three(n), arange(n)); }

/// The labels of a batch, which in `numbered` are the examples' numbers.
Indices labels(const Batch& b) {
  const auto s = b.y.span<std::int64_t>();
  return {s.begin(), s.end()};
}

}  // namespace

TEST_CASE("dataset: a batch holds the rows asked for, in that order, with targets of any dtype") {
  const TensorDataset d = numbered(5);
  CHECK(d.size() == 5);
  const Batch b = d.batch(Indices{4, 0, 4});
  CHECK(b.x.shape() == Dims{3, 3});
  CHECK(b.x.dtype() == DType::f32);
  const auto x = b.x.span<float>();
  CHECK(std::vector<float>(x.begin(), x.end()) == std::vector<float>{12, 13, 14, 0, 1, 2, 12, 13, 14});
  CHECK(labels(b) == Indices{4, 0, 4});
  CHECK(d.batch(Indices{}).x.shape() == Dims{0, 3});
}

TEST_CASE("dataset: without targets y is undefined; rows may be empty or single numbers") {
  CHECK_FALSE(TensorDataset(ones({2, 2})).batch(Indices{0}).y.defined());
  CHECK(TensorDataset(zeros({4, 0})).batch(Indices{1, 2}).x.shape() == Dims{2, 0});
  CHECK(TensorDataset(arange(3)).batch(Indices{2}).x.item<std::int64_t>() == 2);
  CHECK(TensorDataset(zeros({0, 3})).size() == 0);
}

TEST_CASE("dataset: a strided tensor gives the same rows as its copy") {
  const Tensor base = from({0.f, 1.f, 2.f, 3.f, 4.f, 5.f}, {2, 3});
  const TensorDataset d(alias(base, 0, {3, 2}, {1, 3}));
  const auto x = d.batch(Indices{2, 1}).x;
  const auto s = x.span<float>();
  CHECK(std::vector<float>(s.begin(), s.end()) == std::vector<float>{2, 5, 1, 4});
}

TEST_CASE("dataset: unit gives every byte value divided by 255, correctly rounded, at every length") {
  for (std::int64_t n : {1, 15, 16, 17, 256, 300000}) {
    Tensor t = empty({1, n}, DType::u8);
    auto* p = t.mutable_data<std::uint8_t>();
    for (std::int64_t i = 0; i < n; ++i) p[i] = static_cast<std::uint8_t>(i * 7);
    const Tensor x = TensorDataset(t, {}, {.unit = true}).batch(Indices{0, 0}).x;
    const Tensor whole = data::to_unit(t);
    CHECK(x.shape() == Dims{2, n});
    CHECK(whole.shape() == t.shape());
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const float want = static_cast<float>(static_cast<double>(p[i]) / 255.0);
      wrong += x.span<float>()[static_cast<std::size_t>(i)] != want ||
               x.span<float>()[static_cast<std::size_t>(n + i)] != want ||
               whole.span<float>()[static_cast<std::size_t>(i)] != want;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("dataset: what does not fit is refused with the user's line") {
  const auto what = [](auto f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK_THROWS_AS(TensorDataset{Tensor()}, ValueError);
  CHECK_THROWS_AS(TensorDataset{scalar(1)}, ShapeError);
  CHECK_THROWS_AS(TensorDataset(ones({2}), scalar(1)), ShapeError);
  CHECK_THROWS_AS(TensorDataset(ones({2}), ones({3})), ShapeError);
  CHECK_THROWS_AS(TensorDataset(ones({2}), {}, {.unit = true}), DTypeError);
  CHECK_THROWS_AS(data::to_unit(ones({2})), DTypeError);
  const std::string text = what([] { TensorDataset(ones({2, 5}), ones({3})); });
  CHECK(text.find("y is f32[3]") != std::string::npos);
  CHECK(text.find("2 rows, as x is f32[2,5]") != std::string::npos);
  CHECK(text.find("test_dataset.cpp:") != std::string::npos);
  const TensorDataset d = numbered(3);
  for (std::int64_t i : {std::int64_t{-1}, std::int64_t{3}, std::numeric_limits<std::int64_t>::min()})
    CHECK_THROWS_AS(d.batch(Indices{i}), IndexError);
  CHECK_THROWS_AS(Subset(d, 2, 1), IndexError);
  CHECK_THROWS_AS(Subset(d, -1, 1), IndexError);
  CHECK_THROWS_AS(Subset(d, 0, 4), IndexError);
  CHECK_THROWS_AS(Subset(d, Indices{0, 3}), IndexError);
  CHECK_THROWS_AS(Subset(d, 0, 2).batch(Indices{2}), IndexError);
  for (double bad : {-0.1, 1.1, std::nan("")}) CHECK_THROWS_AS(data::split_last(d, bad), ValueError);
}

TEST_CASE("dataset: subsets, of subsets too, keep their order") {
  const Subset odd(numbered(10), Indices{9, 7, 5, 3, 1});
  const Subset middle(odd, 1, 4);
  CHECK(middle.size() == 3);
  CHECK(labels(middle.batch(Indices{0, 2, 1})) == Indices{7, 3, 5});
}

TEST_CASE("dataset: the split takes the last fraction, as Keras does") {
  const auto sizes = [](std::int64_t n, double fraction) {
    const auto [train, valid] = data::split_last(numbered(n), fraction);
    return std::pair(train.size(), valid.size());
  };
  CHECK(sizes(60000, 0.1) == std::pair<std::int64_t, std::int64_t>(54000, 6000));
  CHECK(sizes(10, 0.25) == std::pair<std::int64_t, std::int64_t>(7, 3));
  CHECK(sizes(10, 0) == std::pair<std::int64_t, std::int64_t>(10, 0));
  CHECK(sizes(10, 1) == std::pair<std::int64_t, std::int64_t>(0, 10));
  const auto [train, valid] = data::split_last(numbered(10), 0.3);
  CHECK(labels(train.batch(Indices{0, 6})) == Indices{0, 6});
  CHECK(labels(valid.batch(Indices{0, 2})) == Indices{7, 9});
}

TEST_CASE("dataset: the embedded subset of MNIST is whole and real") {
  for (auto split : {data::Split::train, data::Split::test}) {
    const data::MnistData m = data::load_mnist(THALWEG_MNIST_SUBSET, split);
    CHECK(m.images.size(0) >= 1000);
    CHECK(m.labels.size(0) == m.images.size(0));
    std::array<std::int64_t, 10> count{};
    for (std::uint8_t v : m.labels.span<std::uint8_t>()) ++count[v];
    for (std::int64_t c : count) CHECK(c * 20 > m.labels.size(0));  // no digit is rare
    double sum = 0;
    for (std::uint8_t v : m.images.span<std::uint8_t>()) sum += v;
    const double mean = sum / 255 / static_cast<double>(m.images.numel());
    CHECK(mean > 0.12);  // of the whole set: 0.1307
    CHECK(mean < 0.14);
    const TensorDataset d(m.images, m.labels, {.unit = true});
    CHECK(d.batch(Indices{0, 1}).x.shape() == Dims{2, 28, 28});
  }
}

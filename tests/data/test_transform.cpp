// data/transform: where a loader applies a transform, which numbers it gets, and transforms in a row.
#include <mutex>
#include <stdexcept>

#include <doctest/doctest.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/image_transforms.hpp>
#include <thalweg/data/loader.hpp>
#include <thalweg/ops/kernels/par.hpp>

using namespace thalweg;
using data::Batch;
using data::DataLoader;

namespace {

using Indices = std::vector<std::int64_t>;

/// Writes the index it is given (or 1000 times the epoch more) over each example; keeps what it saw.
struct Mark final : data::Transform {
  struct Log {
    std::mutex lock;
    bool recording = false;
    int calls = 0;
  };
  std::shared_ptr<Log> log = std::make_shared<Log>();
  std::int64_t fail_at = -1, rows_more = 0;
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override {
    const std::lock_guard guard(log->lock);
    ++log->calls;
    log->recording |= grad_enabled();
    Tensor y = zeros({x.size(0) + rows_more, 1}, DType::i64);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] == fail_at) throw std::runtime_error("no such transform");
      y.mutable_data<std::int64_t>()[i] = indices[i] + 1000 * static_cast<std::int64_t>(epoch);
    }
    return y;
  }
};

/// Adds to what is there.
struct Add final : data::Transform {
  float value;
  explicit Add(float v) : value(v) {}
  Tensor operator()(const Tensor& x, std::span<const std::int64_t>, std::uint64_t) const override {
    Tensor y = x.clone();
    for (std::int64_t i = 0; i < y.numel(); ++i) y.mutable_data<float>()[i] = y.data<float>()[i] * 2 + value;
    return y;
  }
};

data::TensorDataset numbered(std::int64_t n) { return data::TensorDataset(ones({n, 2}), arange(n)); }

struct Threads {
  int saved = par::num_threads();
  explicit Threads(int n) { par::set_num_threads(n); }
  ~Threads() { par::set_num_threads(saved); }
};

}  // namespace

TEST_CASE("transform: gets each example's own number and the epoch, whatever the order and the threads") {
  for (int threads : {1, 2, 3})
    for (bool prefetch : {false, true}) {
      const Threads scope(threads);
      Mark mark;
      const DataLoader loader(numbered(50), {.batch_size = 7,
                                             .shuffle = true,
                                             .seed = 5,
                                             .prefetch = prefetch,
                                             .transform = std::make_shared<Mark>(mark)});
      for (std::int64_t epoch : {0, 3}) {
        std::int64_t seen = 0;
        for (const Batch& b : loader.epoch(epoch, 2))
          for (std::int64_t i = 0; i < b.x.size(0); ++i, ++seen)
            CHECK(b.x.data<std::int64_t>()[i] == b.y.data<std::int64_t>()[i] + 1000 * epoch);
        CHECK(seen == 36);
      }
      CHECK(mark.log->calls == 12);
      CHECK_FALSE(mark.log->recording);
    }
}

TEST_CASE("transform: a subset's examples keep their numbers in the whole") {
  const auto [train, held] = data::split_last(numbered(20), 0.25);
  CHECK(held.original_index(0) == 15);
  const data::Subset picked(train, Indices{14, 2, 9}), again(picked, 1, 3);
  CHECK(picked.original_index(0) == 14);
  CHECK(again.original_index(1) == 9);
  CHECK(numbered(3).original_index(2) == 2);
  CHECK_THROWS_AS(picked.original_index(3), IndexError);
  CHECK_THROWS_AS(picked.original_index(-1), IndexError);
  const DataLoader loader(again, {.batch_size = 4, .transform = std::make_shared<Mark>()});
  for (const Batch& b : loader.epoch()) {
    REQUIRE(b.x.size(0) == 2);
    CHECK(b.x.data<std::int64_t>()[0] == 2);
    CHECK(b.x.data<std::int64_t>()[1] == 9);
    CHECK(b.y.data<std::int64_t>()[1] == 9);
  }
}

TEST_CASE("transform: its errors arrive at their batch; another number of rows is caught and named") {
  for (bool prefetch : {false, true}) {
    const Threads scope(2);
    auto mark = std::make_shared<Mark>();
    mark->fail_at = 5;
    auto epoch = DataLoader(numbered(9), {.batch_size = 2, .prefetch = prefetch, .transform = mark}).epoch();
    Batch b;
    CHECK(epoch.next(b));
    CHECK(epoch.next(b));
    CHECK_THROWS_WITH_AS(epoch.next(b), "no such transform", std::runtime_error);
    CHECK_FALSE(epoch.next(b));
  }
  auto mark = std::make_shared<Mark>();
  mark->rows_more = 1;
  auto epoch = DataLoader(numbered(9), {.batch_size = 2, .transform = mark}).epoch();
  Batch b;
  CHECK_THROWS_WITH_AS(epoch.next(b), doctest::Contains("the transform returned another number"), ShapeError);
}

TEST_CASE("transform: compose applies the first first") {
  const auto both = data::compose(Add(1), Add(10));
  const Indices index{0};
  CHECK((*both)(ones({1, 1}), index, 0).item<float>() == 16);
  CHECK((*data::compose(Add(10), Add(1)))(ones({1, 1}), index, 0).item<float>() == 25);
  CHECK((*data::compose(Add(10), both))(ones({1, 1}), index, 0).item<float>() == 60);
  const data::Compose nothing({});
  CHECK(nothing(ones({1, 1}), index, 0).item<float>() == 1);
  CHECK_THROWS_WITH_AS(data::Compose({both, nullptr}), doctest::Contains("transforms[1]"), ValueError);
  CHECK(both);
  CHECK_FALSE(data::TransformRef());
}

TEST_CASE("transform: errors name the line where the transform was handed over, or the loader's") {
  const auto line_of = [](auto f) {
    try {
      f();
    } catch (const Error& e) {
      CHECK(std::string(e.loc().file ? e.loc().file : "").ends_with("test_transform.cpp"));
      return e.loc().line;
    }
    return 0;
  };
  const auto first_batch = [](const DataLoader& loader) { (void)*loader.epoch().begin(); };
  for (bool prefetch : {false, true}) {
    const DataLoader crops(numbered(4), {.prefetch = prefetch, .transform = data::RandomCrop({.padding = 2})});
    CHECK(line_of([&] { first_batch(crops); }) == __LINE__ - 1);  // rows are no images
    const auto in_row = data::compose(Add(1), data::Cutout({}));
    const DataLoader pieces(numbered(4), {.prefetch = prefetch, .transform = in_row});
    CHECK(line_of([&] { first_batch(pieces); }) == __LINE__ - 2);
  }
  auto mark = std::make_shared<Mark>();
  mark->rows_more = 1;
  const DataLoader more(numbered(4), {.transform = mark});
  CHECK(line_of([&] { first_batch(more); }) == __LINE__ - 1);
  const data::Transformed images(numbered(4), data::StandardizeImages());
  CHECK(line_of([&] { images.batch(Indices{0}); }) == __LINE__ - 1);

  const std::shared_ptr<const data::Transform> null;
  CHECK(line_of([&] { data::compose(Add(1), null); }) == __LINE__);
  CHECK(line_of([&] { data::compose(null); }) == __LINE__);

  struct Own : ShapeError {  // of a class of the user's: it arrives as it is
    using ShapeError::ShapeError;
  };
  struct Fails final : data::Transform {
    Tensor operator()(const Tensor&, std::span<const std::int64_t>, std::uint64_t) const override {
      throw Own({.what = "mine"});
    }
  };
  CHECK_THROWS_AS(first_batch(DataLoader(numbered(4), {.transform = Fails()})), Own);
}

TEST_CASE("data: a transformed data set gives the whole's numbers to its transform, in every pass alike") {
  const data::TensorDataset train = numbered(20);
  auto mark = std::make_shared<Mark>();
  const data::Transformed marked(data::Subset(train, Indices{14, 2, 9}), mark);
  CHECK(marked.size() == 3);
  CHECK(marked.original_index(1) == 2);
  const DataLoader loader(marked, {.batch_size = 2});
  for (const std::int64_t pass : {0, 5}) {
    const Batch batch = *loader.epoch(pass).begin();
    CHECK(batch.x.data<std::int64_t>()[0] == 14);
    CHECK(batch.x.data<std::int64_t>()[1] == 2);
    CHECK(batch.y.data<std::int64_t>()[0] == 14);
  }
  CHECK_THROWS_AS(data::Transformed(train, nullptr), ValueError);
}

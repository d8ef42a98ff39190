// Numbers beside integer tensors: nothing wraps or saturates unseen.
#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

#include <thalweg/thalweg.hpp>

using namespace thalweg;

TEST_CASE("a whole number that an integer dtype cannot hold widens the operation") {
  const Tensor u = from<std::uint8_t>({44, 255});
  CHECK_FALSE((u == 300).data<bool>()[0]);  // 300 mod 256 = 44
  CHECK((u > -1).data<bool>()[1]);
  CHECK((u < 256).data<bool>()[1]);
  CHECK((u + 1).dtype() == DType::u8);
  CHECK((u + 300).dtype() == DType::i64);
  CHECK((u + 300).data<std::int64_t>()[1] == 555);
  const Tensor i = from<std::int32_t>({2, -1});
  CHECK((i * 5000000000).data<std::int64_t>()[0] == 10000000000);
  CHECK((i * 2147483647).dtype() == DType::i32);
  CHECK((i > -5000000000).data<bool>()[1]);
  const Tensor l = from<std::int64_t>({1, -1});
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  CHECK((l < huge).data<bool>()[0]);
  CHECK(like(huge, l).dtype() == DType::f32);
  CHECK(like(std::numeric_limits<std::int64_t>::min(), l).item<std::int64_t>() ==
        std::numeric_limits<std::int64_t>::min());
}

TEST_CASE("clamp of integers stays inside fractional bounds, or says that no integer is") {
  const Tensor x = from<std::int64_t>({-9, 0, 9});
  const Tensor y = clamp(x, -1.5, 2.5);
  CHECK(y.data<std::int64_t>()[0] == -1);
  CHECK(y.data<std::int64_t>()[2] == 2);
  const Tensor z = clamp(x, 0.5, 2);
  CHECK(z.data<std::int64_t>()[1] == 1);
  CHECK_THROWS_AS(clamp(x, 0.25, 0.75), ValueError);
  CHECK(clamp(from({0.0}), 0.25, 0.75).item() == 0.25);
  CHECK(clamp(x, -std::numeric_limits<double>::infinity(), 3).data<std::int64_t>()[0] == -9);
}

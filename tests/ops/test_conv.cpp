// Convolution as users call it: options, one node, fused relu, operands of any layout, errors with the user's
// line, second derivatives, Winograd's switch. Values, derivatives and bad arguments of each op are certified
// from its own samples.
#include <doctest/doctest.h>

#include <string>

#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/check/gradcheck.hpp>
#include <thalweg/ops/kernels/conv.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

double distance(const Tensor& a, const Tensor& b) { return max(abs(a.detach() - b.detach())).item(); }

bool same(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && distance(a, b) == 0; }

struct Layer {
  Tensor x, w, b;
  explicit Layer(std::uint64_t seed, DType dtype = DType::f32, std::int64_t groups = 1) {
    Generator gen(seed);
    x = randn({3, 4, 7, 6}, gen, dtype);
    w = randn({6, 4 / groups, 3, 2}, gen, dtype);
    b = randn({6}, gen, dtype);
    for (Tensor* t : {&x, &w, &b}) t->set_requires_grad();
  }
};

}  // namespace

TEST_CASE("a convolution is a sum of shifted products") {
  const Tensor x = from({1., 2., 3., 4., 5., 6.}, {1, 1, 2, 3}), w = from({1., 10.}, {1, 1, 1, 2});
  CHECK(same(conv2d(x, w), from({21., 32., 54., 65.}, {1, 1, 2, 2})));
  CHECK(same(conv2d(x, w, {}, {.padding = {0, 1}}),
             from({10., 21., 32., 3., 40., 54., 65., 6.}, {1, 1, 2, 4})));
  CHECK(same(conv2d(x, w, {}, {.stride = {2}}), from({21.}, {1, 1, 1, 1})));
  CHECK(same(conv2d(x, w, {}, {.dilation = {1, 2}}), from({31., 64.}, {1, 1, 2, 1})));
  CHECK(same(conv2d(x, w, from({-40.}, {1}), {.activation = Activation::relu}),
             from({0., 0., 14., 25.}, {1, 1, 2, 2})));
}

TEST_CASE("one number stands for both directions") {
  const Layer l(1);
  CHECK(same(conv2d(l.x, l.w, l.b, {.stride = {2}, .padding = {1}, .dilation = {2}}),
             conv2d(l.x, l.w, l.b, {.stride = {2, 2}, .padding = {1, 1}, .dilation = {2, 2}})));
}

TEST_CASE("groups are convolutions side by side") {
  const Layer l(2, DType::f64, 2);
  const Tensor y = conv2d(l.x, l.w, l.b, {.padding = {1, 0}, .groups = 2});
  std::vector<Tensor> halves;
  for (int i = 0; i < 2; ++i)
    halves.push_back(conv2d(slice(l.x, 1, 2 * i, 2 * i + 2), slice(l.w, 0, 3 * i, 3 * i + 3),
                            slice(l.b, 0, 3 * i, 3 * i + 3), {.padding = {1, 0}}));
  CHECK(distance(y, cat(halves, 1)) < 1e-13);
}

TEST_CASE("bias and relu join the convolution in one node, with the bits and gradients of separate ops") {
  Layer a(3), b(3);
  const std::int64_t nodes = live_nodes();
  const Tensor fused = conv2d(a.x, a.w, a.b, {.padding = {1}, .activation = Activation::relu});
  CHECK(live_nodes() == nodes + 1);
  const Tensor apart = relu(conv2d(b.x, b.w, {}, {.padding = {1}}) + b.b.reshape({6, 1, 1}));
  CHECK(same(fused, apart));
  sum(fused * fused).backward();
  sum(apart * apart).backward();
  CHECK(same(a.x.grad(), b.x.grad()));
  CHECK(same(a.w.grad(), b.w.grad()));
  CHECK(distance(a.b.grad(), b.b.grad()) < 1e-4);
}

TEST_CASE("operands of any layout give the bits of contiguous ones") {
  const Layer l(4);
  const Tensor turned = permute(permute(l.x.detach(), {2, 3, 0, 1}).contiguous(), {2, 3, 0, 1});
  const Tensor every_second = select(stack(std::vector<Tensor>{l.w.detach(), l.w.detach()}, 4), 4, 1);
  CHECK(!turned.is_contiguous());
  CHECK(!every_second.is_contiguous());
  CHECK(same(conv2d(turned, every_second, l.b), conv2d(l.x, l.w, l.b)));
}

TEST_CASE("second derivatives of a convolution, with all options at once") {
  Generator gen(5);
  const Conv2dOptions options{.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2};
  const auto f = [&](const std::vector<Tensor>& in) {
    const Tensor y = conv2d(in[0], in[1], in[2], options);
    return std::vector<Tensor>{y * y};
  };
  const std::vector<Tensor> in{randn({2, 2, 5, 4}, gen, DType::f64), randn({4, 1, 3, 2}, gen, DType::f64),
                               randn({4}, gen, DType::f64)};
  CHECK(check::gradcheck(f, in).ok);
  CHECK(check::gradgradcheck(f, in).ok);
}

TEST_CASE("only the gradients that are asked for are computed") {
  Layer l(6);
  const Tensor y = sum(conv2d(l.x, l.w, l.b));
  const auto computed = [] {
    return kernels::conv_count(kernels::ConvPath::channels) + kernels::conv_count(kernels::ConvPath::planes);
  };
  const std::int64_t before = computed();
  const std::vector<Tensor> wanted{l.w};
  grad(std::vector<Tensor>{y}, wanted);
  CHECK(computed() == before + 1);
}

TEST_CASE("errors name the call, what was given and what was wanted") {
  const Tensor x = zeros({1, 3, 8, 8}), w = zeros({4, 3, 3, 3});
  const auto text = [](auto&& call) {
    try {
      call();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("nothing thrown");
  };
  const std::string channels = text([&] { conv2d(x, zeros({4, 2, 3, 3})); });
  CHECK(channels.find("conv2d: channels differ (3 in 1 groups vs 2)") != std::string::npos);
  CHECK(channels.find("test_conv.cpp") != std::string::npos);
  CHECK(text([&] {
          conv2d(x, w, {}, {.dilation = {4}});
        }).find("kernel is larger than the padded input (9 vs 8)") != std::string::npos);
  CHECK(text([&] { conv2d(x, w, {}, {.activation = Activation::tanh}); }).find("wanted none or relu") !=
        std::string::npos);
}

TEST_CASE("Winograd can be switched off; results agree to its bound") {
  Generator gen(7);
  const Tensor x = randn({2, 64, 9, 9}, gen), w = randn({64, 64, 3, 3}, gen);
  CHECK(winograd_enabled());
  const Tensor fast = conv2d(x, w, {}, {.padding = {1}});
  set_winograd(false);
  CHECK(!winograd_enabled());
  const std::int64_t before = kernels::conv_count(kernels::ConvPath::winograd);
  const Tensor direct = conv2d(x, w, {}, {.padding = {1}});
  CHECK(kernels::conv_count(kernels::ConvPath::winograd) == before);
  set_winograd(true);
  const double largest_sum = max(conv2d(abs(x), abs(w), {}, {.padding = {1}})).item();
  CHECK(distance(fast, direct) < 20 * 1.2e-7 * largest_sum);
  CHECK(distance(fast, direct) > 0);
}

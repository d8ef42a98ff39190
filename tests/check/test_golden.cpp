// The library against values, gradients and second derivatives that torch computed (tests/golden/golden.txt,
// written by tools/make_golden.py). Depends on the public functions only. Invariant: every differentiable op
// of the registry has a case or a reason in `without_twin`.
// The reason for its length: it is one table, a line or two for each op.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <thalweg/ops/registry.hpp>
#include <thalweg/ops/structured/conv.hpp>
#include <thalweg/ops/structured/softmax.hpp>
#include <thalweg/thalweg.hpp>

namespace {

using namespace thalweg;
using Tensors = std::vector<Tensor>;

struct GoldenCase {
  std::string op, variant;
  Tensors in, grad, along, second;
  Tensor seed, out;
};

/// "f64 [2,3] 1 2 3 4 5 6"
Tensor parse_tensor(std::istringstream& text) {
  std::string dtype, shape;
  text >> dtype >> shape;
  Dims dims;
  std::istringstream sizes(shape.substr(1, shape.size() - 2));
  for (std::string d; std::getline(sizes, d, ',');) dims.push_back(std::stoll(d));
  std::vector<double> v;
  for (std::string number; text >> number;) v.push_back(std::stod(number));
  REQUIRE(static_cast<std::int64_t>(v.size()) == numel(dims));
  const Tensor t = from(std::span<const double>(v), dims);
  return dtype == "i64" ? t.to(DType::i64) : t;
}

std::vector<GoldenCase> read_golden() {
  std::ifstream file(std::string(THALWEG_SOURCE_DIR) + "/tests/golden/golden.txt");
  REQUIRE(file.is_open());
  std::vector<GoldenCase> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream text(line);
    std::string key;
    text >> key;
    if (key == "case") {
      GoldenCase& c = cases.emplace_back();
      text >> c.op;
      std::getline(text >> std::ws, c.variant);
      continue;
    }
    GoldenCase& c = cases.back();
    const Tensor t = parse_tensor(text);
    if (key == "in")
      c.in.push_back(t);
    else if (key == "grad")
      c.grad.push_back(t);
    else if (key == "along")
      c.along.push_back(t);
    else if (key == "second")
      c.second.push_back(t);
    else if (key == "seed")
      c.seed = t;
    else if (key == "out")
      c.out = t;
    else
      FAIL("unknown line: ", key);
  }
  return cases;
}

using Call = std::function<Tensor(const Tensors&)>;
using Calls = std::map<std::string, Call>;

template <class F>
Call unary(F f) {
  return [f](const Tensors& x) { return f(x[0]); };
}
template <class F>
Call binary(F f) {
  return [f](const Tensors& x) { return f(x[0], x[1]); };
}

/// By "op" for every variant, or by "op variant".
void add_pointwise(Calls& to) {
  using A = Arg;
  const std::pair<const char*, Tensor (*)(A)> one[] = {{"neg", neg},
                                                       {"abs", abs},
                                                       {"square", square},
                                                       {"exp", exp},
                                                       {"expm1", expm1},
                                                       {"sin", sin},
                                                       {"cos", cos},
                                                       {"tanh", tanh},
                                                       {"erf", erf},
                                                       {"erfc", erfc},
                                                       {"sigmoid", sigmoid},
                                                       {"log_sigmoid", log_sigmoid},
                                                       {"relu", relu},
                                                       {"selu", selu},
                                                       {"gelu", gelu},
                                                       {"gelu_tanh", gelu_tanh},
                                                       {"silu", silu},
                                                       {"softplus", softplus},
                                                       {"reciprocal", reciprocal},
                                                       {"sign", sign},
                                                       {"log", log},
                                                       {"log1p", log1p},
                                                       {"sqrt", sqrt},
                                                       {"rsqrt", rsqrt}};
  for (const auto& [name, f] : one) to[name] = unary(f);
  const std::pair<const char*, Tensor (*)(A, A)> two[] = {
      {"add", add}, {"sub", sub},     {"mul", mul},         {"div", div},
      {"pow", pow}, {"atan2", atan2}, {"maximum", maximum}, {"minimum", minimum}};
  for (const auto& [name, f] : two) to[name] = binary(f);
  to["leaky_relu plain"] = [](const Tensors& x) { return leaky_relu(x[0]); };
  to["leaky_relu slope"] = [](const Tensors& x) { return leaky_relu(x[0], 0.3); };
  to["elu plain"] = [](const Tensors& x) { return elu(x[0]); };
  to["elu alpha"] = [](const Tensors& x) { return elu(x[0], 0.5); };
  to["hardtanh"] = [](const Tensors& x) { return hardtanh(x[0]); };
  to["clamp"] = [](const Tensors& x) { return clamp(x[0], -0.75, 1.25); };
  to["where"] = [](const Tensors& x) { return where(x[0].to(DType::boolean), x[1], x[2]); };
}

void add_reductions(Calls& to) {
  to["sum all"] = [](const Tensors& x) { return sum(x[0]); };
  to["sum dims"] = [](const Tensors& x) { return sum(x[0], {.dims = {0, 2}}); };
  to["sum keepdim"] = [](const Tensors& x) { return sum(x[0], {.dims = {1}, .keepdim = true}); };
  to["mean all"] = [](const Tensors& x) { return mean(x[0]); };
  to["mean dims"] = [](const Tensors& x) { return mean(x[0], {.dims = {0, 2}}); };
  to["mean keepdim"] = [](const Tensors& x) { return mean(x[0], {.dims = {1}, .keepdim = true}); };
  to["prod all"] = [](const Tensors& x) { return prod(x[0]); };
  to["prod dim"] = [](const Tensors& x) { return prod(x[0], {.dims = {0}}); };
  to["prod zero"] = [](const Tensors& x) { return prod(x[0], {.dims = {1}}); };
  to["max all"] = [](const Tensors& x) { return max(x[0]); };
  to["max dims"] = [](const Tensors& x) { return max(x[0], {.dims = {0, 2}}); };
  to["min dims"] = [](const Tensors& x) { return min(x[0], {.dims = {1}, .keepdim = true}); };
  to["max_with_index"] = [](const Tensors& x) { return max_with_index(x[0], 1).values; };
  to["min_with_index"] = [](const Tensors& x) { return min_with_index(x[0], 2, true).values; };
  to["var all"] = [](const Tensors& x) { return var(x[0]); };
  to["var population"] = [](const Tensors& x) { return var(x[0], {.dims = {0, 2}, .correction = 0}); };
  to["stddev"] = [](const Tensors& x) { return stddev(x[0], {.dims = {1}, .keepdim = true}); };
  to["norm 2"] = [](const Tensors& x) { return norm(x[0]); };
  to["norm 3 of rows"] = [](const Tensors& x) { return norm(x[0], {.p = 3, .dims = {1}}); };
  to["norm 1"] = [](const Tensors& x) { return norm(x[0], {.p = 1, .dims = {0, 2}}); };
  to["norm infinity"] = [](const Tensors& x) { return norm(x[0], {.p = HUGE_VAL, .dims = {1}}); };
  to["cumsum dim"] = [](const Tensors& x) { return cumsum(x[0], 1); };
  to["cumsum reverse"] = [](const Tensors& x) { return cumsum(x[0], 0, true); };
  to["cumprod dim"] = to["cumprod zero"] = [](const Tensors& x) { return cumprod(x[0], 1); };
  to["cumprod reverse"] = [](const Tensors& x) { return cumprod(x[0], 1, true); };
  to["recurrence"] = [](const Tensors& x) { return recurrence(x[0], x[1], {.dim = 1}); };
}

void add_shapes(Calls& to) {
  to["reshape"] = [](const Tensors& x) { return reshape(x[0], {4, 6}); };
  to["view"] = [](const Tensors& x) { return view(x[0], {6, 4}); };
  to["flatten"] = [](const Tensors& x) { return flatten(x[0], 1); };
  to["transpose"] = [](const Tensors& x) { return transpose(x[0], 0, 2); };
  to["permute"] = [](const Tensors& x) { return permute(x[0], {2, 0, 1}); };
  to["expand"] = [](const Tensors& x) { return expand(x[0], {2, 3, 4}); };
  to["squeeze"] = [](const Tensors& x) { return squeeze(x[0], 1); };
  to["unsqueeze"] = [](const Tensors& x) { return unsqueeze(x[0], 1); };
  to["slice"] = [](const Tensors& x) { return slice(x[0], 1, 1, 4, 2); };
  to["select"] = [](const Tensors& x) { return select(x[0], 1, 2); };
  to["flip"] = [](const Tensors& x) { return flip(x[0], {0, 2}); };
  to["pad"] = [](const Tensors& x) { return pad(x[0], {1, 2}, {3, 0}, 0.5); };
  to["clone"] = [](const Tensors& x) { return clone(x[0]); };
  to["cat"] = [](const Tensors& x) { return cat(x, 1); };
  to["stack"] = [](const Tensors& x) { return stack(x, 1); };
  to["gather dim 0"] = [](const Tensors& x) { return gather(x[0], 0, x[1]); };
  to["gather dim 1"] = [](const Tensors& x) { return gather(x[0], 1, x[1]); };
  to["scatter_add"] = [](const Tensors& x) { return scatter_add(x[0], 0, x[1], x[2]); };
  to["index_select"] = [](const Tensors& x) { return index_select(x[0], 1, x[1]); };
  to["index_add"] = [](const Tensors& x) { return index_add(x[0], 0, x[1], x[2]); };
}

template <Activation A>
Tensor linear_with(const Tensors& x) {
  return linear(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), A);
}

void add_products_and_losses(Calls& to) {
  to["matmul"] = [](const Tensors& x) { return matmul(x[0], x[1]); };
  to["linear"] = linear_with<Activation::none>;
  to["linear_relu"] = linear_with<Activation::relu>;
  to["linear_sigmoid"] = linear_with<Activation::sigmoid>;
  to["linear_tanh"] = linear_with<Activation::tanh>;
  to["softmax last"] = to["softmax far"] = [](const Tensors& x) { return softmax(x[0]); };
  to["softmax middle"] = [](const Tensors& x) { return softmax(x[0], 1); };
  to["log_softmax last"] = [](const Tensors& x) { return log_softmax(x[0]); };
  to["log_softmax middle"] = [](const Tensors& x) { return log_softmax(x[0], 1); };
  to["embedding plain"] = [](const Tensors& x) { return embedding(x[0], x[1]); };
  to["embedding padding"] = [](const Tensors& x) { return embedding(x[0], x[1], {.padding_idx = 2}); };
  to["logsumexp last"] = [](const Tensors& x) { return logsumexp(x[0], -1); };
  to["logsumexp middle"] = [](const Tensors& x) { return logsumexp(x[0], 1); };
  to["softmax_backward"] = [](const Tensors& x) { return apply<ops::SoftmaxBackward>(x[0], x[1]); };
  to["log_softmax_backward"] = [](const Tensors& x) { return apply<ops::LogSoftmaxBackward>(x[0], x[1]); };
  to["cross_entropy mean"] = to["cross_entropy ignored"] = to["cross_entropy image"] =
      to["cross_entropy_soft mean"] = [](const Tensors& x) { return cross_entropy(x[0], x[1]); };
  to["cross_entropy sum"] = [](const Tensors& x) {
    return cross_entropy(x[0], x[1], {.reduction = Reduction::sum});
  };
  to["cross_entropy none"] = [](const Tensors& x) {
    return cross_entropy(x[0], x[1], {.reduction = Reduction::none});
  };
  to["cross_entropy smoothing"] = [](const Tensors& x) {
    return cross_entropy(x[0], x[1], {.label_smoothing = 0.2});
  };
  to["cross_entropy_soft smoothing sum"] = [](const Tensors& x) {
    return cross_entropy(x[0], x[1], {.reduction = Reduction::sum, .label_smoothing = 0.1});
  };
  to["nll_loss mean"] = [](const Tensors& x) { return nll_loss(x[0], x[1]); };
  to["nll_loss none"] = [](const Tensors& x) { return nll_loss(x[0], x[1], {.reduction = Reduction::none}); };
  to["squared_difference mse mean"] = [](const Tensors& x) { return mse_loss(x[0], x[1]); };
  to["squared_difference mse sum"] = [](const Tensors& x) {
    return mse_loss(x[0], x[1], {.reduction = Reduction::sum});
  };
  to["absolute_difference"] = [](const Tensors& x) { return l1_loss(x[0], x[1]); };
  to["kl_term kl sum"] = [](const Tensors& x) { return kl_div(x[0], x[1], {.reduction = Reduction::sum}); };
  to["kl_term kl batchmean"] = [](const Tensors& x) { return kl_div(x[0], x[1], {.per_row = true}); };
  to["bce_with_logits"] = [](const Tensors& x) { return bce_with_logits(x[0], x[1]); };
  to["bce_probability_term"] = [](const Tensors& x) { return bce_loss(x[0], x[1]); };
  to["huber_term huber mean"] = [](const Tensors& x) { return huber_loss(x[0], x[1], {.delta = 0.7}); };
  to["huber_term smooth l1 sum"] = [](const Tensors& x) {
    return smooth_l1_loss(x[0], x[1], {.reduction = Reduction::sum, .beta = 1.5});
  };
}

void add_weighted_losses(Calls& to) {
  const Tensor w = from({2.508515, 0.707779, 2.656515, 1.598744}, {4});
  const std::pair<const char*, Reduction> all[] = {
      {" mean", Reduction::mean}, {" sum", Reduction::sum}, {" none", Reduction::none}};
  for (const auto& [name, r] : all) {
    to[std::string("cross_entropy weighted") + name] = [w, r = r](const Tensors& x) {
      return cross_entropy(x[0], x[1], w, {.reduction = r});
    };
    to[std::string("nll_loss weighted") + name] = [w, r = r](const Tensors& x) {
      return nll_loss(x[0], x[1], w, {.reduction = r});
    };
  }
  to["cross_entropy weighted smoothing"] = [w](const Tensors& x) {
    return cross_entropy(x[0], x[1], w, {.label_smoothing = 0.2});
  };
  to["cross_entropy_soft_weighted smoothing"] = [w](const Tensors& x) {
    return cross_entropy(x[0], x[1], w, {.label_smoothing = 0.1});
  };
}

void add_pools(Calls& to) {
  to["max_pool2d 2x2"] = [](const Tensors& x) { return max_pool2d(x[0]); };
  to["max_pool2d 3x3"] = [](const Tensors& x) {
    return max_pool2d(x[0], {.kernel = {3}, .stride = {2}, .padding = {1}});
  };
  to["max_pool2d dilated"] = [](const Tensors& x) {
    return max_pool2d(x[0], {.kernel = {2, 3}, .stride = {1}, .padding = {1, 0}, .dilation = {2, 1}});
  };
  to["max_pool2d ceil"] = [](const Tensors& x) {
    return max_pool2d(x[0], {.kernel = {3}, .stride = {2}, .ceil_mode = true});
  };
  to["avg_pool2d 2x2"] = [](const Tensors& x) { return avg_pool2d(x[0]); };
  to["avg_pool2d 3x3"] = [](const Tensors& x) {
    return avg_pool2d(x[0], {.kernel = {3}, .stride = {2}, .padding = {1}});
  };
  to["avg_pool2d no padding"] = [](const Tensors& x) {
    return avg_pool2d(x[0], {.kernel = {3}, .stride = {2}, .padding = {1}, .count_include_pad = false});
  };
  to["avg_pool2d ceil"] = [](const Tensors& x) {
    return avg_pool2d(x[0], {.kernel = {3, 2}, .stride = {2}, .padding = {1}, .ceil_mode = true});
  };
}

void add_norms(Calls& to) {
  const Call training = [](const Tensors& x) { return batch_norm(x[0], x[1], x[2], {.eps = 1e-3}).y; };
  const Call inference = [](const Tensors& x) {
    const Tensor mean = from({0.25, -0.5, 1.5}, {3}), variance = from({0.5, 1.25, 2.0}, {3});
    return batch_norm_inference(x[0], mean, variance, x[1], x[2], {.eps = 1e-3});
  };
  for (const char* variant : {"matrix", "maps"}) {
    to[std::string("batch_norm ") + variant] = training;
    to[std::string("batch_norm_inference ") + variant] = inference;
  }
  to["layer_norm two dims"] = [](const Tensors& x) { return layer_norm(x[0], {3, 4}, x[1], x[2], {.eps = 1e-3}); };
  to["layer_norm plain"] = [](const Tensors& x) { return layer_norm(x[0], {4}); };
  to["group_norm"] = [](const Tensors& x) { return group_norm(x[0], 3, x[1], x[2], {.eps = 1e-3}); };
  to["batch_norm plain"] = [](const Tensors& x) { return batch_norm(x[0]).y; };
}

void add_convolutions(Calls& to) {
  const std::pair<const char*, ops::ConvAttrs> variants[] = {
      {"plain", {}},
      {"options", {.stride = {3, 2}, .padding = {2, 1}, .dilation = {1, 3}}},
      {"groups", {.stride = {1, 2}, .padding = {1, 0}, .groups = 2}},
      {"depthwise", {.padding = {1}, .groups = 3}}};
  const Dims images[] = {{4, 5}, {7, 6}, {3, 3}, {4, 5}}, kernels[] = {{3, 2}, {3, 2}, {2, 2}, {3, 3}};
  for (int i = 0; i < 4; ++i) {
    const std::string variant = std::string(" ") + variants[i].first;
    const ops::ConvAttrs t = variants[i].second;
    Conv2dOptions options{t.stride, t.padding, t.dilation, t.groups, Activation::none};
    to["conv2d" + variant] = [options](const Tensors& x) { return conv2d(x[0], x[1], x[2], options); };
    options.activation = Activation::relu;
    to["conv2d_relu" + variant] = [options](const Tensors& x) { return conv2d(x[0], x[1], x[2], options); };
    ops::ConvAttrs sized = t;
    sized.size = images[i];
    to["conv2d_input_gradient" + variant] = [sized](const Tensors& x) {
      return apply<ops::Conv2dInputGradient>(sized, x[0], x[1]);
    };
    sized.size = kernels[i];
    to["conv2d_weight_gradient" + variant] = [sized](const Tensors& x) {
      return apply<ops::Conv2dWeightGradient>(sized, x[0], x[1]);
    };
  }
}

Calls all_calls() {
  Calls calls;
  add_pointwise(calls);
  add_reductions(calls);
  add_shapes(calls);
  add_products_and_losses(calls);
  add_weighted_losses(calls);
  add_pools(calls);
  add_norms(calls);
  add_convolutions(calls);
  return calls;
}

const Call& call_of(const Calls& calls, const GoldenCase& c) {
  auto at = calls.find(c.op);
  if (at == calls.end()) at = calls.find(c.op + " " + c.variant);
  REQUIRE_MESSAGE(at != calls.end(), "no call for ", c.op, " ", c.variant);
  return at->second;
}

/// Largest difference, relative to the largest value, or to one.
double difference(const Tensor& got, const Tensor& want) {
  REQUIRE(got.dtype() == DType::f64);
  REQUIRE(got.shape() == want.shape());
  const Tensor a = got.detach().contiguous(), b = want.contiguous();
  double worst = 0, scale = 1;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double d = std::fabs(a.data<double>()[i] - b.data<double>()[i]);
    worst = std::isnan(d) ? HUGE_VAL : std::fmax(worst, d);
    scale = std::fmax(scale, std::fabs(b.data<double>()[i]));
  }
  return worst / scale;
}

/// Differentiable ops that torch has no function for, and what stands in.
const std::map<std::string, const char*> without_twin{
    {"reshape_copy", "torch copies inside reshape; ours is reached by reshape of a transposed tensor"},
    {"cast", "f64 to f64 here; the golden values are f64 throughout"},
    {"slice_backward", "not differentiable by itself in torch 1.13; the second derivative of slice"},
    {"cross_entropy_backward", "no public function in torch; the second derivative of cross_entropy"},
    {"cross_entropy_soft_backward",
     "no public function in torch; the second derivative of cross_entropy_soft"},
    {"nll_loss_backward", "no public function in torch; the gradient of nll_loss"},
    {"prod_others", "no public function in torch; the gradient of prod"},
    {"relu_gradient", "no public function in torch; the gradient of linear_relu"},
    {"dropout", "the numbers drawn differ"},
    {"dropout_channels", "the numbers drawn differ"},
    {"alpha_dropout", "the numbers drawn differ"},
    {"max_pool2d_backward", "no public function in torch; the gradient of max_pool2d"},
    {"max_pool2d_gather", "no public function in torch; the second derivative of max_pool2d"},
    {"batch_norm_backward", "no public function in torch; the gradient of batch_norm"},
    {"layer_norm_backward", "no public function in torch; the gradient of layer_norm"},
    {"group_norm_backward", "no public function in torch; the gradient of group_norm"},
    {"avg_pool2d_backward", "no public function in torch; the gradient of avg_pool2d"},
};

}  // namespace

TEST_CASE("values, gradients and second derivatives agree with torch") {
  const Calls calls = all_calls();
  for (const GoldenCase& c : read_golden()) {
    INFO(c.op, " ", c.variant);
    Tensors x = c.in, leaves;
    for (Tensor& t : x)
      if (t.dtype() == DType::f64) {
        t.set_requires_grad();
        leaves.push_back(t);
      }
    const Tensor y = call_of(calls, c)(x);
    CHECK(difference(y, c.out) <= 1e-13);
    REQUIRE(leaves.size() == c.grad.size());
    const Tensors g = grad(y, leaves, {.grad_outputs = {c.seed}, .create_graph = true});
    Tensor inner;
    for (std::size_t i = 0; i < g.size(); ++i) {
      CHECK(difference(g[i], c.grad[i]) <= 1e-12);
      const Tensor term = sum(g[i] * c.along[i]);
      inner = inner.defined() ? inner + term : term;
    }
    if (!inner.requires_grad()) {  // linear: the gradient does not depend on the inputs
      for (const Tensor& want : c.second) CHECK(difference(zeros_like(want), want) == 0);
      continue;
    }
    const Tensors second = grad(inner, leaves, {.allow_unused = true});
    for (std::size_t i = 0; i < second.size(); ++i)
      CHECK(difference(second[i].defined() ? second[i] : zeros_like(c.second[i]), c.second[i]) <= 1e-11);
  }
}

TEST_CASE("every differentiable op has golden values, or a reason why not") {
  std::set<std::string> covered;
  for (const GoldenCase& c : read_golden()) {
    covered.insert(c.op);
    CHECK_MESSAGE(find_op(c.op), c.op);
  }
  CHECK(covered.size() >= 80);
  for (const OpInfo& op : registry())
    if (op.def->differentiable)
      CHECK_MESSAGE(covered.count(op.name()) + without_twin.count(op.name()) == 1, std::string(op.name()));
}

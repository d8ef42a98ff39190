// libtorch's twins of our ops, by name. Depends on torch alone; compiled only where it was found.
// Invariant: a twin computes the same function of the same arrays; the benchmark compares the small results.
#include "peer_torch.hpp"

namespace bench {
namespace {

using at::Tensor;
using In = const std::vector<Tensor>&;
using Numbers = const std::vector<std::int64_t>&;

/// A twin of one or two operands, without numbers.
template <class F>
TorchOp unary(F f) {
  return [f](In x, Numbers) { return f(x[0]); };
}
template <class F>
TorchOp binary(F f) {
  return [f](In x, Numbers) { return f(x[0], x[1]); };
}

void add_unary(TorchOps& to) {
  to["tanh"] = unary([](const Tensor& x) { return at::tanh(x); });
  to["sigmoid"] = unary([](const Tensor& x) { return at::sigmoid(x); });
  to["log_sigmoid"] = unary([](const Tensor& x) { return at::log_sigmoid(x); });
  to["relu"] = unary([](const Tensor& x) { return at::relu(x); });
  to["leaky_relu"] = unary([](const Tensor& x) { return at::leaky_relu(x); });
  to["elu"] = unary([](const Tensor& x) { return at::elu(x); });
  to["selu"] = unary([](const Tensor& x) { return at::selu(x); });
  to["gelu"] = unary([](const Tensor& x) { return at::gelu(x); });
  to["gelu_tanh"] = unary([](const Tensor& x) { return at::gelu(x, "tanh"); });
  to["silu"] = unary([](const Tensor& x) { return at::silu(x); });
  to["softplus"] = unary([](const Tensor& x) { return at::softplus(x); });
  to["hardtanh"] = unary([](const Tensor& x) { return at::hardtanh(x); });
  to["clamp"] = unary([](const Tensor& x) { return at::clamp(x, -1, 1); });
  to["neg"] = unary([](const Tensor& x) { return at::neg(x); });
  to["abs"] = unary([](const Tensor& x) { return at::abs(x); });
  to["sign"] = unary([](const Tensor& x) { return at::sign(x); });
  to["square"] = unary([](const Tensor& x) { return at::square(x); });
  to["reciprocal"] = unary([](const Tensor& x) { return at::reciprocal(x); });
  to["exp"] = unary([](const Tensor& x) { return at::exp(x); });
  to["expm1"] = unary([](const Tensor& x) { return at::expm1(x); });
  to["log"] = unary([](const Tensor& x) { return at::log(x); });
  to["log1p"] = unary([](const Tensor& x) { return at::log1p(x); });
  to["sqrt"] = unary([](const Tensor& x) { return at::sqrt(x); });
  to["rsqrt"] = unary([](const Tensor& x) { return at::rsqrt(x); });
  to["sin"] = unary([](const Tensor& x) { return at::sin(x); });
  to["cos"] = unary([](const Tensor& x) { return at::cos(x); });
  to["erf"] = unary([](const Tensor& x) { return at::erf(x); });
  to["erfc"] = unary([](const Tensor& x) { return at::erfc(x); });
  to["logical_not"] = unary([](const Tensor& x) { return at::logical_not(x); });
  to["isnan"] = unary([](const Tensor& x) { return at::isnan(x); });
  to["isfinite"] = unary([](const Tensor& x) { return at::isfinite(x); });
}

void add_elementwise(TorchOps& to) {
  to["add"] = binary([](const Tensor& a, const Tensor& b) { return at::add(a, b); });
  to["sub"] = binary([](const Tensor& a, const Tensor& b) { return at::sub(a, b); });
  to["mul"] = binary([](const Tensor& a, const Tensor& b) { return at::mul(a, b); });
  to["div"] = binary([](const Tensor& a, const Tensor& b) { return at::div(a, b); });
  to["pow"] = binary([](const Tensor& a, const Tensor& b) { return at::pow(a, b); });
  to["atan2"] = binary([](const Tensor& a, const Tensor& b) { return at::atan2(a, b); });
  to["maximum"] = binary([](const Tensor& a, const Tensor& b) { return at::maximum(a, b); });
  to["minimum"] = binary([](const Tensor& a, const Tensor& b) { return at::minimum(a, b); });
  to["equal"] = binary([](const Tensor& a, const Tensor& b) { return at::eq(a, b); });
  to["not_equal"] = binary([](const Tensor& a, const Tensor& b) { return at::ne(a, b); });
  to["less"] = binary([](const Tensor& a, const Tensor& b) { return at::lt(a, b); });
  to["less_equal"] = binary([](const Tensor& a, const Tensor& b) { return at::le(a, b); });
  to["greater"] = binary([](const Tensor& a, const Tensor& b) { return at::gt(a, b); });
  to["greater_equal"] = binary([](const Tensor& a, const Tensor& b) { return at::ge(a, b); });
  to["logical_and"] = binary([](const Tensor& a, const Tensor& b) { return at::logical_and(a, b); });
  to["logical_or"] = binary([](const Tensor& a, const Tensor& b) { return at::logical_or(a, b); });
  to["logical_xor"] = binary([](const Tensor& a, const Tensor& b) { return at::logical_xor(a, b); });
  to["squared_difference"] = binary([](const Tensor& a, const Tensor& b) { return at::mse_loss(a, b, at::Reduction::None); });
  to["absolute_difference"] = binary([](const Tensor& a, const Tensor& b) { return at::l1_loss(a, b, at::Reduction::None); });
  to["kl_term"] = binary([](const Tensor& a, const Tensor& b) { return at::kl_div(a, b, at::Reduction::None); });
  to["bce_with_logits"] = binary([](const Tensor& a, const Tensor& b) {
    return at::binary_cross_entropy_with_logits(a, b, {}, {}, at::Reduction::None);
  });
  to["huber_term"] = binary([](const Tensor& a, const Tensor& b) { return at::huber_loss(a, b, at::Reduction::None); });
  to["bce_probability_term"] = binary([](const Tensor& a, const Tensor& b) {
    return at::binary_cross_entropy(a, b, {}, at::Reduction::None);
  });
  to["relu_gradient"] = binary([](const Tensor& g, const Tensor& y) { return at::threshold_backward(g, y, 0); });
  to["where"] = [](In x, Numbers) { return at::where(x[0], x[1], x[2]); };
}

void add_reductions(TorchOps& to) {
  to["sum"] = unary([](const Tensor& x) { return at::sum(x); });
  to["sum 0"] = unary([](const Tensor& x) { return at::sum(x, 0); });
  to["sum 1"] = unary([](const Tensor& x) { return at::sum(x, 1); });
  to["mean"] = unary([](const Tensor& x) { return at::mean(x); });
  to["prod"] = unary([](const Tensor& x) { return at::prod(x); });
  to["max"] = unary([](const Tensor& x) { return at::max(x); });
  to["min"] = unary([](const Tensor& x) { return at::min(x); });
  to["max 1"] = unary([](const Tensor& x) { return at::amax(x, 1); });
  to["max_with_index"] = unary([](const Tensor& x) { return std::get<0>(at::max(x, -1)); });
  to["min_with_index"] = unary([](const Tensor& x) { return std::get<0>(at::min(x, -1)); });
  to["max_with_index 0"] = unary([](const Tensor& x) { return std::get<0>(at::max(x, 0)); });
  to["argmax"] = unary([](const Tensor& x) { return at::argmax(x); });
  to["argmin"] = unary([](const Tensor& x) { return at::argmin(x); });
  to["argmax 1"] = unary([](const Tensor& x) { return at::argmax(x, 1); });
  to["var"] = unary([](const Tensor& x) { return at::var(x); });
  to["var 1"] = unary([](const Tensor& x) { return at::var(x, at::IntArrayRef{1}); });
  to["stddev"] = unary([](const Tensor& x) { return at::std(x); });
  to["norm"] = unary([](const Tensor& x) { return at::norm(x); });
  to["cumsum"] = unary([](const Tensor& x) { return at::cumsum(x, -1); });
  to["cumsum 0"] = unary([](const Tensor& x) { return at::cumsum(x, 0); });
  to["cumprod"] = unary([](const Tensor& x) { return at::cumprod(x, -1); });
  to["softmax"] = unary([](const Tensor& x) { return at::softmax(x, -1); });
  to["softmax 0"] = unary([](const Tensor& x) { return at::softmax(x, 0); });
  to["log_softmax"] = unary([](const Tensor& x) { return at::log_softmax(x, -1); });
  to["logsumexp"] = unary([](const Tensor& x) { return at::logsumexp(x, -1); });
  to["softmax_backward"] = binary([](const Tensor& g, const Tensor& y) { return at::_softmax_backward_data(g, y, -1, at::kFloat); });
  to["log_softmax_backward"] = binary([](const Tensor& g, const Tensor& y) { return at::_log_softmax_backward_data(g, y, -1, at::kFloat); });
  to["dropout"] = unary([](const Tensor& x) { return at::dropout(x, 0.5, true); });
  to["dropout_channels"] = unary([](const Tensor& x) { return at::feature_dropout(x, 0.5, true); });
  to["alpha_dropout"] = unary([](const Tensor& x) { return at::alpha_dropout(x, 0.5, true); });
}

void add_indexed(TorchOps& to) {
  to["gather"] = [](In x, Numbers) { return at::gather(x[0], 1, x[1]); };
  to["scatter_add"] = [](In x, Numbers) { return at::scatter_add(x[0], 1, x[1], x[2]); };
  to["index_select"] = [](In x, Numbers) { return at::index_select(x[0], 0, x[1]); };
  to["index_add"] = [](In x, Numbers) { return at::index_add(x[0], 0, x[1], x[2]); };
  to["embedding"] = [](In x, Numbers) { return at::embedding(x[0], x[1]); };
  to["one_hot"] = [](In x, Numbers n) { return at::one_hot(x[0], n[0]).to(at::kFloat); };
  to["cross_entropy"] = binary([](const Tensor& x, const Tensor& t) { return at::cross_entropy_loss(x, t); });
  to["cross_entropy_soft"] = to["cross_entropy"];
  to["nll_loss"] = binary([](const Tensor& x, const Tensor& t) { return at::nll_loss(x, t); });
  to["cross_entropy_weighted"] = [](In x, Numbers) { return at::cross_entropy_loss(x[0], x[1], x[2]); };
  to["nll_loss_weighted"] = [](In x, Numbers) { return at::nll_loss(x[0], x[1], x[2]); };
  to["matmul"] = binary([](const Tensor& a, const Tensor& b) { return at::matmul(a, b); });
  to["linear"] = [](In x, Numbers) { return at::linear(x[0], x[1], x[2]); };
  to["linear_relu"] = [](In x, Numbers) { return at::relu(at::linear(x[0], x[1], x[2])); };
  to["linear_sigmoid"] = [](In x, Numbers) { return at::sigmoid(at::linear(x[0], x[1], x[2])); };
  to["linear_tanh"] = [](In x, Numbers) { return at::tanh(at::linear(x[0], x[1], x[2])); };
  to["conv2d"] = [](In x, Numbers) { return at::conv2d(x[0], x[1], x[2], 1, 1); };
  to["conv2d_relu"] = [](In x, Numbers) { return at::relu(at::conv2d(x[0], x[1], x[2], 1, 1)); };
  to["max_pool2d"] = unary([](const Tensor& x) { return at::max_pool2d(x, 2); });
  to["avg_pool2d"] = unary([](const Tensor& x) { return at::avg_pool2d(x, 2); });
  to["batch_norm"] = [](In x, Numbers) { return at::batch_norm(x[0], x[1], x[2], {}, {}, true, 0.1, 1e-5, false); };
  to["layer_norm"] = [](In x, Numbers) { return at::layer_norm(x[0], x[1].sizes(), x[1], x[2]); };
  to["group_norm"] = [](In x, Numbers) { return at::group_norm(x[0], 2, x[1], x[2]); };
  to["batch_norm_inference"] = [](In x, Numbers) { return at::batch_norm(x[0], x[3], x[4], x[1], x[2], false, 0.1, 1e-5, false); };
}

void add_shapes(TorchOps& to) {
  to["view"] = unary([](const Tensor& x) { return x.view({x.numel()}); });
  to["reshape"] = unary([](const Tensor& x) { return x.reshape({x.numel()}); });
  to["reshape_copy"] = to["reshape"];
  to["flatten"] = unary([](const Tensor& x) { return x.flatten(); });
  to["transpose"] = unary([](const Tensor& x) { return x.transpose(0, 1); });
  to["permute"] = unary([](const Tensor& x) { return x.permute({1, 0}); });
  to["expand"] = unary([](const Tensor& x) { return x.expand({x.size(1), x.size(1)}); });
  to["squeeze"] = unary([](const Tensor& x) { return x.squeeze(1); });
  to["unsqueeze"] = unary([](const Tensor& x) { return x.unsqueeze(1); });
  to["slice"] = unary([](const Tensor& x) { return x.slice(1, 1, -1); });
  to["slice_backward"] = [](In x, Numbers n) { return at::slice_backward(x[0], {n[0], n[0]}, 1, 1, n[0] - 1, 1); };
  to["select"] = unary([](const Tensor& x) { return x.select(0, 3); });
  to["flip"] = unary([](const Tensor& x) { return at::flip(x, {1}); });
  to["pad"] = unary([](const Tensor& x) { return at::constant_pad_nd(x, {1, 1, 1, 1}); });
  to["clone"] = unary([](const Tensor& x) { return at::clone(x, at::MemoryFormat::Contiguous); });
  to["cast"] = unary([](const Tensor& x) { return x.to(at::kDouble); });
  to["cat"] = [](In x, Numbers) { return at::cat(x, 0); };
  to["cat 1"] = [](In x, Numbers) { return at::cat(x, 1); };
  to["stack"] = [](In x, Numbers) { return at::stack(x, 0); };
}

}  // namespace

const TorchOps& torch_ops() {
  static const TorchOps all = [] {
    TorchOps ops;
    add_unary(ops);
    add_elementwise(ops);
    add_reductions(ops);
    add_indexed(ops);
    add_shapes(ops);
    return ops;
  }();
  return all;
}

}  // namespace bench

// The registry: asks every family for its descriptions, once. Depends on registry.hpp alone.
// Invariant: a family is one line below; which ops it holds is said in its own list.
#include <thalweg/ops/registry.hpp>

namespace thalweg {

void describe_arithmetic(std::vector<OpInfo>& to);
void describe_math(std::vector<OpInfo>& to);
void describe_activations(std::vector<OpInfo>& to);
void describe_compare(std::vector<OpInfo>& to);
void describe_matmul(std::vector<OpInfo>& to);
void describe_reduce(std::vector<OpInfo>& to);
void describe_scan(std::vector<OpInfo>& to);
void describe_shape(std::vector<OpInfo>& to);
void describe_index(std::vector<OpInfo>& to);
void describe_embedding(std::vector<OpInfo>& to);
void describe_softmax(std::vector<OpInfo>& to);
void describe_linear(std::vector<OpInfo>& to);
void describe_conv(std::vector<OpInfo>& to);
void describe_loss(std::vector<OpInfo>& to);
void describe_random(std::vector<OpInfo>& to);
void describe_pool(std::vector<OpInfo>& to);
void describe_norm(std::vector<OpInfo>& to);
void describe_norm_groups(std::vector<OpInfo>& to);

namespace {

std::vector<OpInfo> describe_families() {
  std::vector<OpInfo> all;
  describe_arithmetic(all);
  describe_math(all);
  describe_activations(all);
  describe_compare(all);
  describe_matmul(all);
  describe_reduce(all);
  describe_scan(all);
  describe_shape(all);
  describe_index(all);
  describe_embedding(all);
  describe_softmax(all);
  describe_linear(all);
  describe_conv(all);
  describe_loss(all);
  describe_random(all);
  describe_pool(all);
  describe_norm(all);
  describe_norm_groups(all);
  return all;
}

}  // namespace

std::span<const OpInfo> registry() {
  static const std::vector<OpInfo> all = describe_families();
  return all;
}

const OpInfo* find_op(std::string_view name) {
  for (const OpInfo& op : registry())
    if (name == op.name()) return &op;
  return nullptr;
}

}  // namespace thalweg

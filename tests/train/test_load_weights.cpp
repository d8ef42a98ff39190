// The weights of a model from either kind of file. Depends on train, io and doctest.
#include <string>

#include <thalweg/io/safetensors.hpp>
#include <thalweg/thalweg.hpp>
#include <thalweg/train/train.hpp>

#include "io/files.hpp"
#include "small.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

std::string state_hash(const auto& model) {
  std::vector<Tensor> tensors;
  for (const auto& [name, tensor] : nn::state_dict(model)) tensors.push_back(tensor);
  return train::hash_of(tensors);
}

/// small::net() without its dropout, which has a generator in the checkpoint but no parameter.
struct Bare {
  nn::Linear first{{.in = 2, .out = 16, .activation = Activation::relu}}, last{{.in = 16, .out = 2}};
  nn::BatchNorm1d norm{{.features = 16}};
  Tensor operator()(Arg x) { return last(norm(first(x))); }
  void visit(auto& f) {
    f("0", first);
    f("1", norm);
    f("3", last);
  }
};

}  // namespace

TEST_CASE("load_weights: takes a file of parameters and a checkpoint alike, all or nothing") {
  TempDir dir;
  nn::Sequential trained = small::net(), a = small::net(8), b = small::net(8);
  optim::Adam adam(nn::parameters(trained));
  train::fit(trained, adam, cross_entropy, small::ring(20),
             {.epochs = 3, .batch_size = 5, .progress = false, .checkpoint = {.directory = dir / "c"}});
  const std::string hash = state_hash(trained);
  io::save(dir / "weights", nn::state_dict(trained));
  train::load_weights(a, dir / "weights");
  CHECK(state_hash(a) == hash);
  const std::string checkpoint = train::Checkpoints(dir / "c").path_of(12);
  train::load_weights(b, checkpoint);
  CHECK(state_hash(b) == hash);
  Bare bare;
  train::load_weights(bare, checkpoint);
  CHECK(state_hash(bare) == hash);

  nn::Sequential narrow{nn::Linear({.in = 2, .out = 4})};
  const std::string before = state_hash(narrow);
  const auto e = thrown<ValueError>([&] { train::load_weights(narrow, checkpoint); });
  CHECK(contains(e.what, "'0.weight' is f32[16,2], wanted f32[4,2]"));
  CHECK(contains(e.what, "'3.bias' is not in the module"));
  CHECK(contains(e.what, "test_load_weights.cpp"));
  CHECK(state_hash(narrow) == before);

  Bytes damaged = slurp(checkpoint);
  damaged[damaged.size() - 9] ^= 1;
  put(dir / "damaged", damaged);
  CHECK(contains(thrown<FormatError>([&] { train::load_weights(a, dir / "damaged"); }).what, "checksum"));
  io::TensorFile newer = io::load_checked(checkpoint);
  newer.metadata["thalweg.checkpoint"] = "2";
  io::save_checked(dir / "newer", newer.tensors, newer.metadata);
  CHECK(contains(thrown<FormatError>([&] { train::load_weights(a, dir / "newer"); }).given, "2 (saved by"));
  CHECK(state_hash(a) == hash);
}

// Weights travel: files written by the NumPy program beside the fixtures, a model of PyTorch's among them,
// are read here; where Python with NumPy is found, it also reads and rewrites what is saved here.
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/nn/nn.hpp>

#include "files.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

const std::string data = std::string(THALWEG_TEST_DATA) + "/safetensors";
const std::string program = std::string(THALWEG_TEST_DATA) + "/safetensors_numpy.py";

nn::Sequential torch_model() {
  return nn::Sequential(nn::Conv2d({.in = 3, .out = 4, .kernel = 3, .padding = 1}),
                        nn::BatchNorm2d({.features = 4}), nn::Relu(), nn::MaxPool2d{.kernel = 2},
                        nn::Conv2d({.in = 4, .out = 6, .kernel = 3, .stride = 2, .bias = false}), nn::Relu(),
                        nn::Flatten(), nn::Linear({.in = 24, .out = 5}), nn::BatchNorm1d({.features = 5}),
                        nn::Linear({.in = 5, .out = 3}));
}

/// A Python that has NumPy, or nothing.
std::string python() {
  for (const char* candidate : {"python3", "/usr/bin/python3"})
    if (std::system(fmt::format("{} -c 'import numpy' >/dev/null 2>&1", candidate).c_str()) == 0)
      return candidate;
  return {};
}

}  // namespace

TEST_CASE("numpy: what the NumPy writer wrote is read, every element type and odd names") {
  const io::TensorFile got = io::load_file(data + "/numpy.safetensors");
  CHECK(got.metadata == io::Metadata{{"made by", "NumPy"}, {"n\u00f6te", "line\n2"}});
  CHECK(got.tensors.size() == 8);
  CHECK(got.at("f64").data<double>()[0] == 1e300);
  CHECK(got.at("f64").shape() == Dims{1, 2});
  CHECK(got.at("f32").data<float>()[2] == 3e-40f);
  CHECK(std::signbit(got.at("f32").data<float>()[1]));
  CHECK(got.at("i64").item<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
  CHECK(got.at("i64").dim() == 0);
  CHECK(got.at("i32").data<std::int32_t>()[0] == 2);
  CHECK(got.at("u8").data<std::uint8_t>()[1] == 255);
  CHECK(got.at("bool").data<bool>()[2]);
  CHECK(got.at("empty").shape() == Dims{0, 4});
  CHECK(got.at("caf\u00e9 \"quoted\"\n").numel() == 1);
}

TEST_CASE("numpy: a PyTorch state_dict is loaded by name and gives PyTorch's outputs") {
  const io::TensorFile file = io::load_file(data + "/torch_model.safetensors");
  io::NamedTensors state;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with("model.")) state.emplace_back(name.substr(6), tensor);
  nn::Sequential model = torch_model();
  nn::load_state_dict(model, state);  // strict
  nn::eval(model);
  const Tensor y = model(file.at("input"));
  const Tensor& wanted = file.at("output");
  REQUIRE(y.shape() == wanted.shape());
  for (std::int64_t i = 0; i < y.numel(); ++i)
    CHECK(std::abs(y.data<float>()[i] - wanted.data<float>()[i]) < 1e-5f);
  // Names and shapes are PyTorch's, so the way back is a plain save.
  const auto own = nn::state_dict(model);
  CHECK(own.size() + 2 == state.size());  // PyTorch counts the batches of both normalisations
  for (const auto& [name, tensor] : own) CHECK(file.at("model." + name).shape() == tensor.shape());
}

TEST_CASE("numpy: the NumPy reader reads what is saved here, and what it writes is read back") {
  const std::string exe = python();
  if (exe.empty()) {
    MESSAGE("skipped: no python3 with NumPy here");
    return;
  }
  TempDir dir;
  const nn::Sequential model = torch_model();
  io::NamedTensors state = nn::state_dict(model);
  state.emplace_back("odd \"name\"\n\u00e9", from({std::int64_t{1}, std::int64_t{-2}}, {2}));
  const bool flags[] = {true, false};
  state.emplace_back("flags", from(std::span<const bool>(flags), {2}));
  state.emplace_back("scalar", scalar(2.5, DType::f64));
  state.emplace_back("none", zeros({3, 0}));
  io::save_checked(dir / "ours", state, {{"note", "text"}});
  REQUIRE(std::system(fmt::format("{} '{}' '{}' '{}' > '{}'", exe, program, dir / "ours", dir / "theirs",
                                  dir / "list")
                          .c_str()) == 0);
  const io::TensorFile got = io::load_file(dir / "theirs");
  CHECK(got.metadata == io::Metadata{{"note", "text"}});
  REQUIRE(got.tensors.size() == state.size());
  for (const auto& [name, tensor] : state) {
    CAPTURE(name);
    const Tensor& t = got.at(name);
    REQUIRE(t.shape() == tensor.shape());
    REQUIRE(t.dtype() == tensor.dtype());
    const std::size_t bytes = static_cast<std::size_t>(t.numel()) * itemsize(t.dtype());
    CHECK((bytes == 0 || std::memcmp(t.view().data, tensor.view().data, bytes) == 0));
  }
  const Bytes list = slurp(dir / "list");
  CHECK(contains(std::string(list.begin(), list.end()), "scalar F64 [] 2.5"));
}

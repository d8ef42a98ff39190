// The visitors behind module.hpp. Depends on module.hpp, ops (copies).
#include <thalweg/nn/module.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>

#include <thalweg/autograd/base/thread_state.hpp>

namespace thalweg::nn {

std::string Visitor::join(std::string_view name) const {
  std::string path = path_;
  if (!path.empty() && !name.empty()) path += '.';
  return path.append(name);
}

void Visitor::enter(std::string_view name, ModuleRef module) {
  const std::string outer = path_;
  path_ = join(name);
  on_module(path_, module);
  if (module.type->visit) module.type->visit(module.object, *this);
  on_leave(path_, module);
  path_ = outer;
}

namespace detail {

std::string short_type_name(std::string_view pretty) {
  // "... [with M = a::b::Net<int>; ...]" (GCC) or "... [M = a::b::Net<int>]" (clang)
  const std::size_t mark = pretty.find("M = ");
  std::string_view name = mark == std::string_view::npos ? pretty : pretty.substr(mark + 4);
  if (name.find("lambda") != std::string_view::npos) return "lambda";
  name = name.substr(0, name.find_first_of(";]<"));
  const std::size_t colon = name.rfind(':');
  return std::string(colon == std::string_view::npos ? name : name.substr(colon + 1));
}

namespace {

/// Each tensor once, whatever its names.
class Collector final : public Visitor {
 public:
  enum What { parameters, buffers, all };
  Collector(What what, bool repeat) : what_(what), repeat_(repeat) {}
  NamedTensors found;

 private:
  void take(const std::string& path, Tensor& t) {
    if (repeat_ || seen_.insert(t.get()).second) found.emplace_back(path, t);
  }
  void on_parameter(const std::string& path, Tensor& t) override {
    if (what_ != buffers) take(path, t);
  }
  void on_buffer(const std::string& path, Tensor& t) override {
    if (what_ != parameters) take(path, t);
  }

  What what_;
  bool repeat_;
  std::set<const TensorBody*> seen_;
};

NamedTensors collect(ModuleRef m, Collector::What what, bool repeat) {
  Collector c(what, repeat);
  c.walk(m);
  return std::move(c.found);
}

class GeneratorCollector final : public Visitor {
 public:
  NamedGenerators found;

 private:
  void on_generator(const std::string& path, Generator& g) override { found.emplace_back(path, &g); }
};

class ModeSetter final : public Visitor {
 public:
  explicit ModeSetter(bool on) : on_(on) {}

 private:
  void on_module(const std::string&, ModuleRef m) override {
    if (m.type->training) *m.type->training(m.object) = on_;
  }
  bool on_;
};

class Copier final : public Visitor {
 private:
  void replace(Tensor& t) {
    const Tensor copy = copies_[t.get()];
    if (!copy.defined()) {
      originals_.push_back(t);  // keeps the key's address from being used again
      Tensor made = t.detach().clone();
      if (t.requires_grad()) made.set_requires_grad();
      copies_[made.get()] = made;  // visited again, it stays
      copies_[t.get()] = made;
      t = made;
      return;
    }
    t = copy;
  }
  void on_parameter(const std::string&, Tensor& t) override { replace(t); }
  void on_buffer(const std::string&, Tensor& t) override { replace(t); }
  /// A pointer is replaced before it is followed, or the original's tensors would be.
  std::shared_ptr<void> on_shared(const std::string& path, const void* object, CopyPointee copy) override {
    if (!copy)
      throw_error<ValueError>({.op = "clone",
                               .arg = fmt::format("'{}'", path),
                               .given = "a pointer to what cannot be copied as a whole",
                               .wanted = "a value, or a std::shared_ptr to a copyable type that is not virtual",
                               .what = "the copy would share it with the original"});
    std::shared_ptr<void>& made = shared_[{object, copy}];
    if (!made) {
      const std::shared_ptr<void> fresh = copy(object);
      made = fresh;
      shared_[{fresh.get(), copy}] = fresh;  // visited again, it stays
      return fresh;
    }
    return made;
  }

  std::map<const TensorBody*, Tensor> copies_;
  std::map<std::pair<const void*, CopyPointee>, std::shared_ptr<void>> shared_;
  std::vector<Tensor> originals_;
};

class Printer final : public Visitor {
 public:
  std::string text;

 private:
  void on_module(const std::string& path, ModuleRef m) override {
    const std::string name = path.substr(path.rfind('.') + 1);
    text += std::string(2 * depth_++, ' ');
    if (!name.empty()) text += name + ": ";
    text += m.type->describe(m.object) + "\n";
  }
  void on_leave(const std::string&, ModuleRef) override { --depth_; }
  std::size_t depth_ = 0;
};

/// The same shape and dtype, and the same bits.
bool same_values(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  const Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  const std::size_t bytes = static_cast<std::size_t>(x.numel()) * itemsize(x.dtype());
  return bytes == 0 || std::memcmp(x.view().data, y.view().data, bytes) == 0;
}

/// What PyTorch's batch normalisation counts, and reads only where there is no momentum.
bool is_batch_counter(std::string_view name) {
  constexpr std::string_view counter = "num_batches_tracked";
  return name == counter || (name.ends_with(counter) && name[name.size() - counter.size() - 1] == '.');
}

void list_problem(std::string& problems, const std::string& problem) {
  if (!problems.empty()) problems += "; ";
  problems += problem;
}

}  // namespace

NamedTensors named_parameters(ModuleRef m) { return collect(m, Collector::parameters, false); }
NamedTensors named_buffers(ModuleRef m) { return collect(m, Collector::buffers, false); }

NamedTensors state_dict(ModuleRef m) {
  NamedTensors state = collect(m, Collector::all, true);
  for (auto& [name, tensor] : state) tensor = tensor.detach();
  return state;
}

NamedGenerators named_generators(ModuleRef m) {
  GeneratorCollector c;
  c.walk(m);
  return std::move(c.found);
}

void load_state_dict(ModuleRef m, const NamedTensors& state, LoadOptions options, Loc loc) {
  std::map<std::string_view, const Tensor*> given;
  std::string problems;
  for (const auto& [name, tensor] : state)
    if (!given.emplace(name, &tensor).second)
      list_problem(problems, fmt::format("'{}' is given twice", name));
  NamedTensors own = collect(m, Collector::all, true);
  std::vector<std::pair<Tensor, Tensor>> copies;
  std::map<const TensorBody*, std::pair<std::string_view, const Tensor*>> first_name;
  std::set<const void*> own_storage;
  for (auto& [name, tensor] : own) {
    own_storage.insert(tensor.get()->storage.get());
    const auto found = given.find(name);
    if (found == given.end()) {
      if (options.strict) list_problem(problems, fmt::format("'{}' {} is missing", name, tensor.describe()));
      continue;
    }
    const Tensor& source = *found->second;
    if (!source.defined() || !(source.shape() == tensor.shape()) || source.dtype() != tensor.dtype())
      list_problem(problems,
                   fmt::format("'{}' is {}, wanted {}", name, source.describe(), tensor.describe()));
    else if (const auto [first, fresh] = first_name.try_emplace(tensor.get(), name, &source);
             !fresh && !same_values(*first->second.second, source))
      list_problem(problems, fmt::format("'{}' and '{}' are one tensor, but their values differ",
                                         first->second.first, name));
    copies.emplace_back(tensor, source);
    given.erase(found);
  }
  if (options.strict)
    for (const auto& [name, tensor] : state)
      if (given.count(name) && !is_batch_counter(name)) list_problem(problems, fmt::format("'{}' is not in the module", name));
  if (!problems.empty())
    throw_error<ValueError>({.op = "load_state_dict",
                             .arg = "state",
                             .given = fmt::format("{} entries", state.size()),
                             .wanted = fmt::format("the {} of the module", own.size()),
                             .what = problems,
                             .loc = loc});
  const NoGrad guard;
  for (auto& [tensor, source] : copies)  // before the first write: the module's own memory changes with it
    if (own_storage.count(source.get()->storage.get())) source = source.clone(loc);
  for (auto& [tensor, source] : copies) tensor.copy_(source, loc);
}

void set_training(ModuleRef m, bool on) { ModeSetter(on).walk(m); }

void set_requires_grad(ModuleRef m, bool wanted, Loc loc) {
  for (auto& [name, tensor] : named_parameters(m)) tensor.set_requires_grad(wanted, loc);
}

void replace_by_copies(ModuleRef m) { Copier().walk(m); }

std::string to_string(ModuleRef m) {
  Printer p;
  p.walk(m);
  return std::move(p.text);
}

std::int64_t elements(const NamedTensors& tensors) {
  std::int64_t n = 0;
  for (const auto& [name, tensor] : tensors) n += tensor.numel();
  return n;
}

}  // namespace detail
}  // namespace thalweg::nn

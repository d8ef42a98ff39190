// The visitors behind state_file.hpp: one that collects, one that assigns values and checks tensors, one that
// puts values back after a failed check, and one that writes tensors.
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/file.hpp>
#include <thalweg/io/state_file.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg::io {
namespace {

constexpr const char* op = "state";
const std::string text_key = "text:";
const std::string undefined_key = "undefined:";

Tensor vector_of(const std::vector<double>& v) {
  return from(std::span<const double>(v), {static_cast<std::int64_t>(v.size())});
}
std::vector<double> values_of(const Tensor& t) {
  const auto values = t.span<double>();
  return {values.begin(), values.end()};
}

class Collector final : public StateVisitor {
 public:
  explicit Collector(Loc loc) : loc_(loc) {}
  TensorFile found;

 private:
  void on_tensor(const std::string& name, Tensor& v) override {
    if (v.defined())
      add(name, v);
    else if (fresh(name))
      found.metadata[undefined_key + name];
  }
  void on_integer(const std::string& name, std::int64_t& v) override { add(name, scalar(v, DType::i64)); }
  void on_number(const std::string& name, double& v) override { add(name, scalar(v, DType::f64)); }
  void on_text(const std::string& name, std::string& v) override {
    if (fresh(name)) found.metadata[text_key + name] = v;
  }
  void on_numbers(const std::string& name, std::vector<double>& v) override { add(name, vector_of(v)); }

  void add(const std::string& name, Tensor t) {
    if (fresh(name)) found.tensors.emplace_back(name, std::move(t));
  }
  bool fresh(const std::string& name) {
    if (!seen_.insert(name).second)
      throw_error<ValueError>(
          {.op = op, .arg = "name", .given = printable(name), .what = "visited twice", .loc = loc_});
    return true;
  }

  Loc loc_;
  std::set<std::string> seen_;
};

/// Entries by name.
struct Entries {
  std::map<std::string_view, const Tensor*> tensors;
  const Metadata& metadata;

  explicit Entries(const TensorFile& file) : metadata(file.metadata) {
    for (const auto& [name, tensor] : file.tensors) tensors.emplace(name, &tensor);
  }
  const Tensor* tensor(const std::string& name) const {
    const auto it = tensors.find(name);
    return it == tensors.end() ? nullptr : it->second;
  }
  const std::string* text(const std::string& name) const {
    const auto it = metadata.find(text_key + name);
    return it == metadata.end() ? nullptr : &it->second;
  }
  bool undefined(const std::string& name) const { return metadata.count(undefined_key + name) != 0; }
};

/// Assigns everything but tensors, which are only compared, and lists what does not fit.
class Checker final : public StateVisitor {
 public:
  explicit Checker(const Entries& from) : from_(from) {}

  /// The list, what nobody asked for at its end.
  std::string problems() const {
    std::string all = problems_;
    const auto extra = [&](std::string_view name) {
      if (!seen_.count(std::string(name))) list(all, fmt::format("'{}' is not wanted", printable(name)));
    };
    for (const auto& [name, tensor] : from_.tensors) extra(name);
    for (const auto& [key, value] : from_.metadata)
      for (const std::string& prefix : {text_key, undefined_key})
        if (key.starts_with(prefix)) extra(std::string_view(key).substr(prefix.size()));
    return all;
  }

 private:
  void on_tensor(const std::string& name, Tensor& v) override {
    seen_.insert(name);
    if (from_.undefined(name)) return;
    const Tensor* t = from_.tensor(name);
    if (t == nullptr)
      missing(name, v.defined() ? v.describe() : "a tensor");
    else if (v.defined() && (!(t->shape() == v.shape()) || t->dtype() != v.dtype()))
      differs(name, t->describe(), v.describe());
  }
  void on_integer(const std::string& name, std::int64_t& v) override {
    if (const Tensor* t = value(name, DType::i64, 0, "an integer")) v = t->item<std::int64_t>();
  }
  void on_number(const std::string& name, double& v) override {
    if (const Tensor* t = value(name, DType::f64, 0, "a number")) v = t->item<double>();
  }
  void on_numbers(const std::string& name, std::vector<double>& v) override {
    if (const Tensor* t = value(name, DType::f64, 1, "numbers")) v = values_of(*t);
  }
  void on_text(const std::string& name, std::string& v) override {
    seen_.insert(name);
    const std::string* text = from_.text(name);
    if (text != nullptr)
      v = *text;
    else if (const Tensor* t = from_.tensor(name))
      differs(name, t->describe(), "a text");
    else
      missing(name, "a text");
  }

  const Tensor* value(const std::string& name, DType dtype, int rank, const char* kind) {
    seen_.insert(name);
    const Tensor* t = from_.tensor(name);
    if (t == nullptr) {
      if (from_.text(name) != nullptr)
        differs(name, "a text", kind);
      else
        missing(name, kind);
      return nullptr;
    }
    if (t->dtype() == dtype && t->dim() == rank) return t;
    differs(name, t->describe(), kind);
    return nullptr;
  }
  void missing(const std::string& name, const std::string& wanted) {
    list(problems_, fmt::format("'{}' ({}) is missing", printable(name), wanted));
  }
  void differs(const std::string& name, const std::string& given, const std::string& wanted) {
    list(problems_, fmt::format("'{}' is {}, wanted {}", printable(name), given, wanted));
  }
  static void list(std::string& to, const std::string& problem) {
    if (!to.empty()) to += "; ";
    to += problem;
  }

  const Entries& from_;
  std::set<std::string> seen_;
  std::string problems_;
};

/// Puts back what Checker assigned. Tensors get their handles back: an object that follows a number may have
/// dropped some.
class Restorer final : public StateVisitor {
 public:
  explicit Restorer(const Entries& from) : from_(from) {}

 private:
  void on_tensor(const std::string& name, Tensor& v) override {
    if (const Tensor* t = from_.tensor(name)) v = *t;
    if (from_.undefined(name)) v = Tensor();
  }
  void on_integer(const std::string& name, std::int64_t& v) override {
    if (const Tensor* t = from_.tensor(name)) v = t->item<std::int64_t>();
  }
  void on_number(const std::string& name, double& v) override {
    if (const Tensor* t = from_.tensor(name)) v = t->item<double>();
  }
  void on_numbers(const std::string& name, std::vector<double>& v) override {
    if (const Tensor* t = from_.tensor(name)) v = values_of(*t);
  }
  void on_text(const std::string& name, std::string& v) override {
    if (const std::string* text = from_.text(name)) v = *text;
  }

  const Entries& from_;
};

/// Writes the tensors, all of which Checker has seen to fit.
class Writer final : public StateVisitor {
 public:
  Writer(const Entries& from, Loc loc) : from_(from), loc_(loc) {}

 private:
  void on_tensor(const std::string& name, Tensor& v) override {
    const Tensor* t = from_.tensor(name);
    if (from_.undefined(name)) {
      v = Tensor();
    } else if (t != nullptr && !v.defined()) {
      v = *t;
    } else if (t != nullptr && v.get() != t->get()) {
      v.get()->storage->bump(op, loc_);
      kernels::copy(t->view(), v.mutable_view());
    }
  }
  void on_integer(const std::string&, std::int64_t&) override {}
  void on_number(const std::string&, double&) override {}
  void on_numbers(const std::string&, std::vector<double>&) override {}
  void on_text(const std::string&, std::string&) override {}

  const Entries& from_;
  Loc loc_;
};

}  // namespace

TensorFile collect_state(const StateVisit& visit, Loc loc) {
  Collector collector(loc);
  visit(collector);
  return std::move(collector.found);
}

void assign_state(const TensorFile& from, const StateVisit& visit, const std::string& name, Loc loc) {
  const TensorFile before = collect_state(visit, loc);
  const Entries wanted(from), old(before);
  Checker checker(wanted);
  std::string problems;
  try {
    visit(checker);
    problems = checker.problems();
  } catch (...) {
    Restorer restorer(old);
    visit(restorer);
    throw;
  }
  if (!problems.empty()) {
    Restorer restorer(old);
    visit(restorer);
    throw_error<ValueError>({.op = op,
                             .arg = name,
                             .given = fmt::format("{} entries", from.tensors.size()),
                             .what = problems + "; nothing was loaded",
                             .loc = loc});
  }
  Writer writer(wanted, loc);
  visit(writer);
}

void save_state(const std::string& path, const StateVisit& visit, const Metadata& about, Loc loc) {
  TensorFile state = collect_state(visit, loc);
  state.metadata.insert(about.begin(), about.end());
  save_checked(path, state.tensors, state.metadata, loc);
}

void load_state(const std::string& path, const StateVisit& visit, Loc loc) {
  assign_state(load_checked(path), visit, printable(path), loc);
}

}  // namespace thalweg::io

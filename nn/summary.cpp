// Depends on summary.hpp, fmt.
#include <thalweg/nn/summary.hpp>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/nn/call.hpp>

namespace thalweg::nn {
namespace {

using Key = std::pair<const void*, const ModuleType*>;  // a struct and its first member share an address

class OutputShapes final : public CallObserver {
 public:
  void called(ModuleRef layer, const Tensor& out) override {
    shapes[{layer.object, layer.type}] = out.shape();
  }
  std::map<Key, Dims> shapes;
};

/// Puts every mode back as it was, also when the trial run throws.
class EvaluationMode final : public Visitor {
 public:
  explicit EvaluationMode(ModuleRef m) { walk(m); }
  ~EvaluationMode() override {
    // Last first: a layer visited twice was saved again when its mode was off already.
    for (auto s = saved_.rbegin(); s != saved_.rend(); ++s) *s->first = s->second;
  }

 private:
  void on_module(const std::string&, ModuleRef m) override {
    if (!m.type->training) return;
    bool* flag = m.type->training(m.object);
    saved_.emplace_back(flag, *flag);
    *flag = false;
  }
  std::vector<std::pair<bool*, bool>> saved_;
};

class Tabulator final : public Visitor {
 public:
  explicit Tabulator(const OutputShapes& outputs) : outputs_(outputs) {}
  Summary summary;

 private:
  void on_module(const std::string& path, ModuleRef m) override {
    SummaryRow row{.name = path, .layer = m.type->describe(m.object)};
    const auto found = outputs_.shapes.find({m.object, m.type});
    row.called = found != outputs_.shapes.end();
    if (row.called) row.output = found->second;
    if (!open_.empty()) is_group_[open_.back()] = true;
    open_.push_back(summary.rows.size());
    is_group_.push_back(false);
    summary.rows.push_back(std::move(row));
  }
  void on_leave(const std::string& path, ModuleRef) override {
    open_.pop_back();
    if (!path.empty()) return;
    std::vector<SummaryRow> kept;
    for (std::size_t i = 0; i < summary.rows.size(); ++i)
      if (!is_group_[i] || summary.rows[i].own > 0) kept.push_back(std::move(summary.rows[i]));
    summary.rows = std::move(kept);
  }
  void on_parameter(const std::string&, Tensor& t) override {
    summary.rows[open_.back()].own += t.numel();
    if (!seen_.insert(t.get()).second) return;
    summary.parameters += t.numel();
    summary.bytes += t.numel() * static_cast<std::int64_t>(itemsize(t.dtype()));
    if (t.requires_grad()) summary.trainable += t.numel();
  }
  void on_buffer(const std::string&, Tensor& t) override {
    if (seen_.insert(t.get()).second) summary.buffers += t.numel();
  }

  const OutputShapes& outputs_;
  std::vector<std::size_t> open_;
  std::vector<bool> is_group_;
  std::set<const TensorBody*> seen_;
};

std::string thousands(std::int64_t n) {
  std::string s = std::to_string(n);
  for (std::ptrdiff_t i = static_cast<std::ptrdiff_t>(s.size()) - 3; i > 0; i -= 3)
    s.insert(static_cast<std::size_t>(i), 1, ',');
  return s;
}

}  // namespace

namespace detail {

Summary summarise(ModuleRef m, const Dims& input_shape, DType dtype, Loc loc) {
  OutputShapes outputs;
  {
    const NoGrad guard;
    const EvaluationMode mode(m);
    const Tensor x = zeros(input_shape, dtype);
    m.type->call(m.object, Arg(x, loc));
  }
  Tabulator table(outputs);
  table.walk(m);
  return std::move(table.summary);
}

}  // namespace detail

std::string to_string(const Summary& s) {
  std::size_t name = 5, layer = 5, output = 6;
  for (const SummaryRow& r : s.rows) {
    name = std::max(name, r.name.size());
    layer = std::max(layer, r.layer.size());
    output = std::max(output, to_string(r.output).size());
  }
  const auto line = [&](std::string_view a, std::string_view b, std::string_view c, std::string_view d) {
    return fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>10}\n", a, name, b, layer, c, output, d);
  };
  std::string text = line("name", "layer", "output", "parameters");
  for (const SummaryRow& r : s.rows)
    text += line(r.name, r.layer, r.called ? to_string(r.output) : "-", thousands(r.own));
  text += fmt::format("{} parameters, {} trainable, {:.2f} MiB", thousands(s.parameters), thousands(s.trainable),
                      static_cast<double>(s.bytes) / (1 << 20));
  if (s.buffers > 0)
    text += fmt::format("; {} in all with {} in buffers", thousands(s.parameters + s.buffers), thousands(s.buffers));
  return text + "\n";
}

std::ostream& operator<<(std::ostream& out, const Summary& s) { return out << to_string(s); }

}  // namespace thalweg::nn

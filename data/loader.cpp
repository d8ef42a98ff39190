// Batches and prefetching; see loader.hpp. Depends on base, data/dataset, par.
#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/autograd/base/rethrow.hpp>
#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/data/loader.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::data {
namespace {

constexpr const char* op = "loader";
// Keeps the order apart from a Generator of the same seed, which counts its streams up from 0.
constexpr std::uint64_t order_stream = 0x6f72646572000000;

/// Uniform in [0, n), by the high half of a 128-bit product; its bias is below n / 2^64.
std::uint64_t below(std::uint64_t n, const PhiloxBlock& block) noexcept {
  const std::uint64_t word = std::uint64_t{block[1]} << 32 | block[0];
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(word) * n >> 64);
}

void check_rows(const Tensor& t, const char* arg, std::size_t wanted, const char* who) {
  if (!t.defined() || (t.dim() > 0 && t.size(0) == static_cast<std::int64_t>(wanted))) return;
  throw_error<ShapeError>(
      {.op = op,
       .arg = arg,
       .given = t.describe(),
       .wanted = fmt::format("{} rows", wanted),
       .what = fmt::format("{} returned another number of examples than asked for", who)});
}

/// What the tasks of one epoch share and only read.
struct Plan {
  DatasetRef dataset;
  std::vector<std::int64_t> order;
  std::int64_t batch_size;
  TransformRef transform;
  std::uint64_t epoch;
  Loc loc;  // of the loader: for errors that name no line

  Batch make(std::int64_t index) const {
    const NoGrad guard;
    return at_line(loc, [&] { return examples(index); });
  }

 private:
  Batch examples(std::int64_t index) const {
    const auto begin = static_cast<std::size_t>(index * batch_size);
    const std::size_t count = std::min(static_cast<std::size_t>(batch_size), order.size() - begin);
    const std::span<const std::int64_t> wanted = std::span(order).subspan(begin, count);
    Batch batch = dataset->batch(wanted);
    check_rows(batch.x, "x", count, "the data set");
    check_rows(batch.y, "y", count, "the data set");
    if (!transform) return batch;
    std::vector<std::int64_t> originals;
    originals.reserve(count);
    for (std::int64_t i : wanted) originals.push_back(dataset->original_index(i));
    batch.x = transform.apply(batch.x, originals, epoch);
    check_rows(batch.x, "x", count, "the transform");
    return batch;
  }
};

struct MakeBatch {
  std::shared_ptr<const Plan> plan;
  std::int64_t index;
  Batch operator()() const { return plan->make(index); }
};

}  // namespace

std::vector<std::int64_t> shuffled(std::int64_t n, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::int64_t> order(n > 0 ? static_cast<std::size_t>(n) : 0);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[below(i, philox(seed, order_stream ^ epoch, i))]);
  return order;
}

// ---- Epoch -------------------------------------------------------------------------------------

struct Epoch::State {
  std::shared_ptr<const Plan> plan;
  std::int64_t batches = 0;
  std::int64_t taken = 0;  // batches handed out, or left out at the start
  bool prefetch = true;
  bool have_current = false;
  Batch current{};
  par::Task<MakeBatch> pending{};
};

Epoch::Epoch(std::unique_ptr<State> state) : state_(std::move(state)) {}
Epoch::Epoch(Epoch&&) noexcept = default;
Epoch& Epoch::operator=(Epoch&&) noexcept = default;
Epoch::~Epoch() = default;

std::int64_t Epoch::batches() const noexcept { return state_->batches; }

bool Epoch::next(Batch& batch) {
  State& s = *state_;
  batch = {};  // gives the last batch's memory back before the next one is made
  if (s.taken >= s.batches) return false;
  const std::int64_t index = s.taken;
  s.taken = s.batches;  // an error ends the epoch
  batch = s.pending.valid() ? s.pending.get() : s.plan->make(index);
  s.taken = index + 1;
  if (s.prefetch && s.taken < s.batches) s.pending = par::async(MakeBatch{s.plan, s.taken});
  return true;
}

Epoch::Iterator Epoch::begin() {
  state_->have_current = next(state_->current);
  return Iterator(this);
}

const Batch& Epoch::Iterator::operator*() const { return epoch_->state_->current; }

Epoch::Iterator& Epoch::Iterator::operator++() {
  State& s = *epoch_->state_;
  s.have_current = false;
  s.have_current = epoch_->next(s.current);
  return *this;
}

bool Epoch::Iterator::operator==(std::default_sentinel_t) const { return !epoch_->state_->have_current; }

// ---- DataLoader --------------------------------------------------------------------------------

DataLoader::DataLoader(DatasetRef dataset, LoaderOptions options, Loc loc)
    : dataset_(std::move(dataset)), options_(std::move(options)), size_(dataset_->size()), loc_(loc) {
  if (options_.batch_size < 1)
    throw_error<ValueError>({.op = op,
                             .arg = "batch_size",
                             .given = std::to_string(options_.batch_size),
                             .wanted = "1 or more",
                             .what = "no batch of that size",
                             .loc = loc});
}

std::int64_t DataLoader::batches() const noexcept {
  const std::int64_t full = size_ / options_.batch_size;
  return full + (!options_.drop_last && size_ % options_.batch_size != 0 ? 1 : 0);
}

std::vector<std::int64_t> DataLoader::order(std::int64_t number) const {
  if (options_.shuffle) return shuffled(size_, options_.seed, static_cast<std::uint64_t>(number));
  std::vector<std::int64_t> in_order(static_cast<std::size_t>(size_));
  std::iota(in_order.begin(), in_order.end(), std::int64_t{0});
  return in_order;
}

Epoch DataLoader::epoch(std::int64_t number, std::int64_t first, Loc loc) const {
  if (number < 0)
    throw_error<ValueError>({.op = op,
                             .arg = "number",
                             .given = std::to_string(number),
                             .wanted = "0 or more",
                             .what = "no such epoch",
                             .loc = loc});
  if (first < 0 || first > batches())
    throw_error<IndexError>({.op = op,
                             .arg = "first",
                             .given = std::to_string(first),
                             .wanted = fmt::format("0 to {}", batches()),
                             .what = "no such batch in an epoch",
                             .loc = loc});
  auto state = std::make_unique<Epoch::State>();
  state->plan =
      std::make_shared<const Plan>(Plan{dataset_, order(number), options_.batch_size, options_.transform,
                                        static_cast<std::uint64_t>(number), loc_});
  state->batches = batches();
  state->taken = first;
  state->prefetch = options_.prefetch;
  return Epoch(std::move(state));
}

}  // namespace thalweg::data

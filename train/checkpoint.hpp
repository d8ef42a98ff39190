// Checkpoints: a directory of a run's states, one safetensors file each, from which a killed run goes on.
// Depends on nn (visitor), io (state files). Invariant: whatever happens at whatever moment, the newest whole
// checkpoint stays whole until a newer one is durable; a file that is not as it was written is never loaded.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <thalweg/io/state_file.hpp>
#include <thalweg/nn/visitor.hpp>

namespace thalweg::train {

/// Names a generator's seed and offset.
void visit_generator(io::StateVisitor& f, const std::string& name, Generator& generator);

/// Names everything of a model: tensors under their names in the state_dict, its generators' seeds and
/// offsets
/// ("3.generator.seed").
void visit_model(io::StateVisitor& f, nn::ModuleRef model);
template <class M>
void visit_model(io::StateVisitor& f, const M& model) {
  visit_model(f, nn::module_ref(model));
}

namespace detail {
void load_weights(nn::ModuleRef model, const std::string& path, Loc loc);
}

/// Puts the parameters and buffers in the file at `path` into `model`: all of a file that
/// io::save(path, nn::state_dict(model)) wrote, or of a checkpoint of fit() those of its model. Throws what
/// io::load() and nn::load_state_dict() do, and FormatError for a checkpoint of another format version.
template <class M>
void load_weights(M& model, const std::string& path, Loc loc = Loc::here()) {
  detail::load_weights(nn::module_ref(model), path, loc);
}

/// What restore() found.
struct Restored {
  struct Skipped {
    std::string path;
    std::string reason;
  };
  std::string path{};     ///< of the checkpoint that was loaded; empty: none was, and the run starts afresh
  std::int64_t step = 0;  ///< its step
  std::vector<Skipped> skipped{};  ///< newer ones that could not be used, and why

  explicit operator bool() const noexcept { return !path.empty(); }
  /// For people, a line each: what was skipped and why, and what was loaded or that the run starts afresh.
  std::string describe() const;
};

/// What the settings of one's own are called among those of a run, so that none meets one of fit's.
inline const std::string settings_prefix = "settings.";

/// How fit() saves checkpoints and goes on from them.
struct CheckpointOptions {
  std::string directory{};       ///< for this run alone; empty: none are saved
  std::int64_t every_steps = 0;  ///< batches after which one is saved within an epoch; 0: at its end alone
  /// The same in seconds, but never before 50 times what the last save took: from the second on, saving within an
  /// epoch takes less than 2 % of the time.
  double every_seconds = 0;
  int keep = 3;         ///< the newest that stay
  bool resume = false;  ///< go on from the newest whole one; without, those that are there are set aside
  /// Settings of one's own that a resumed run must share with the one it goes on from: {{"--lr", "0.001"}}.
  io::Metadata settings{};
  /// Told what `resume` found before the training begins; none: it is printed on stderr.
  std::function<void(const Restored&)> restored{};
};

/// The checkpoints of one run, called checkpoint-0000001234.safetensors after the step. A directory is for
/// one run at a time, and that run calls either restore() or start_afresh() first.
class Checkpoints {
 public:
  /// Makes the directory where there is none, and removes what killed processes left half-written. `keep`
  /// newest checkpoints stay. Throws ValueError (keep < 1), IoError.
  explicit Checkpoints(std::string directory, int keep = 3, Loc loc = Loc::here());

  /// Saves what `visit` names as the state after `step`; durable on return. `kind` holds settings that
  /// the run must have in common with the one that goes on from it: {{"optimizer", "Adam"}}. Older
  /// checkpoints beyond `keep` are removed after. Returns the path. Throws IoError, and then the checkpoints
  /// that were there still are, and ValueError (step < 0; what save_state() says).
  std::string save(std::int64_t step, const io::Metadata& kind, const io::StateVisit& visit,
                   Loc loc = Loc::here());

  /// Loads the newest checkpoint that is whole into what `visit` names. Damaged and unreadable ones are
  /// skipped and told. One that is whole but was saved in another version of the format, by a run of another
  /// `kind` or of another model is an error (FormatError; ValueError listing every difference), since an
  /// older one would be no better; then nothing is changed.
  Restored restore(const io::Metadata& kind, const io::StateVisit& visit, Loc loc = Loc::here());

  /// For a run that does not continue another: checkpoints of an earlier run are renamed to *.old, in place
  /// of those that have such names, so that they are never taken for this run's. Returns how many. Throws
  /// IoError.
  int start_afresh();

  const std::string& directory() const noexcept { return directory_; }
  /// Steps of the checkpoints that are there, newest first. Throws IoError.
  std::vector<std::int64_t> steps() const;
  std::string path_of(std::int64_t step) const;

 private:
  void set_aside(std::int64_t step) const;

  std::string directory_;
  std::size_t keep_;
};

}  // namespace thalweg::train

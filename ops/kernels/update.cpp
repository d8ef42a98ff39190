// Cuts the arrays of all updates into chunks and runs the loops of the instruction set in use.
// Depends on par and update_loops.
#include <thalweg/ops/kernels/update.hpp>

#include <algorithm>

#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/update_loops.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements =
    16384;  // a multiple of every vector: only an array's end has a short one

template <class T, class Options>
void run_chunk(const Update<Options>& u, std::int64_t begin,
               void (*loop)(const UpdateSlice<T>&, const Options&)) noexcept {
  const auto at = [&](void* state) { return state == nullptr ? nullptr : static_cast<T*>(state) + begin; };
  loop({std::min(grain_elements, u.n - begin),
        static_cast<T*>(u.parameter) + begin,
        static_cast<const T*>(u.gradient) + begin,
        {at(u.state[0]), at(u.state[1]), at(u.state[2])},
        u.maximize},
       u.options);
}

template <class Options>
void run(std::span<Update<Options>> all,
         void (*UpdateLoops<float>::*loop32)(const UpdateSlice<float>&, const Options&),
         void (*UpdateLoops<double>::*loop64)(const UpdateSlice<double>&, const Options&)) noexcept {
  std::int64_t count = 0;
  for (Update<Options>& u : all) {
    u.first_chunk = count;
    count += (u.n + grain_elements - 1) / grain_elements;
  }
  par::chunks(count, 1, [&](std::int64_t begin, std::int64_t end) noexcept {
    auto u =
        std::upper_bound(all.begin(), all.end(), begin,
                         [](std::int64_t chunk, const Update<Options>& x) { return chunk < x.first_chunk; }) -
        1;  // the last that starts at or before this chunk: empty ones before it start there too
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      while (chunk - u->first_chunk >= (u->n + grain_elements - 1) / grain_elements) ++u;
      const std::int64_t first = (chunk - u->first_chunk) * grain_elements;
      if (u->dtype == DType::f32)
        run_chunk<float>(*u, first, update_loops<float>().*loop32);
      else
        run_chunk<double>(*u, first, update_loops<double>().*loop64);
    }
  });
}

}  // namespace

void update_sgd(std::span<Update<SgdOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::sgd, &UpdateLoops<double>::sgd);
}

void update_adam(std::span<Update<AdamOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::adam, &UpdateLoops<double>::adam);
}

void update_nadam(std::span<Update<NadamOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::nadam, &UpdateLoops<double>::nadam);
}

void update_adamax(std::span<Update<AdamaxOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::adamax, &UpdateLoops<double>::adamax);
}

void update_rmsprop(std::span<Update<RmspropOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::rmsprop, &UpdateLoops<double>::rmsprop);
}

void update_adagrad(std::span<Update<AdagradOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::adagrad, &UpdateLoops<double>::adagrad);
}

void update_adadelta(std::span<Update<AdadeltaOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::adadelta, &UpdateLoops<double>::adadelta);
}

void update_scale(std::span<Update<ScaleOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::scale, &UpdateLoops<double>::scale);
}

void update_clamp(std::span<Update<ClampOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::clamp, &UpdateLoops<double>::clamp);
}

void update_average(std::span<Update<AverageOptions>> all) noexcept {
  run(all, &UpdateLoops<float>::average, &UpdateLoops<double>::average);
}

}  // namespace thalweg::kernels

// Cuts the arrays of an update into chunks and runs the loops of the instruction set in use.
// Depends on par and update_loops.
#include <thalweg/ops/kernels/update.hpp>

#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/update_loops.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements =
    16384;  // a multiple of every vector: only the array's end has a short one

template <class T, class Options>
void run(const UpdateArrays& a, void* s0, void* s1, void* s2, const Options& o,
         void (*loop)(const UpdateSlice<T>&, const Options&)) noexcept {
  par::chunks(a.n, grain_elements, [&](std::int64_t begin, std::int64_t end) noexcept {
    const auto at = [&](void* state) { return state == nullptr ? nullptr : static_cast<T*>(state) + begin; };
    loop({end - begin,
          static_cast<T*>(a.parameter) + begin,
          static_cast<const T*>(a.gradient) + begin,
          {at(s0), at(s1), at(s2)},
          a.maximize},
         o);
  });
}

}  // namespace

void update_sgd(const UpdateArrays& a, void* velocity, const SgdOptions& o) noexcept {
  if (a.dtype == DType::f32)
    run<float>(a, velocity, nullptr, nullptr, o, update_loops<float>().sgd);
  else
    run<double>(a, velocity, nullptr, nullptr, o, update_loops<double>().sgd);
}

void update_adam(const UpdateArrays& a, void* first, void* second, void* largest,
                 const AdamOptions& o) noexcept {
  if (a.dtype == DType::f32)
    run<float>(a, first, second, largest, o, update_loops<float>().adam);
  else
    run<double>(a, first, second, largest, o, update_loops<double>().adam);
}

void update_rmsprop(const UpdateArrays& a, void* square, void* mean, void* velocity,
                    const RmspropOptions& o) noexcept {
  if (a.dtype == DType::f32)
    run<float>(a, square, mean, velocity, o, update_loops<float>().rmsprop);
  else
    run<double>(a, square, mean, velocity, o, update_loops<double>().rmsprop);
}

void update_adagrad(const UpdateArrays& a, void* square, const AdagradOptions& o) noexcept {
  if (a.dtype == DType::f32)
    run<float>(a, square, nullptr, nullptr, o, update_loops<float>().adagrad);
  else
    run<double>(a, square, nullptr, nullptr, o, update_loops<double>().adagrad);
}

void update_adadelta(const UpdateArrays& a, void* square, void* delta, const AdadeltaOptions& o) noexcept {
  if (a.dtype == DType::f32)
    run<float>(a, square, delta, nullptr, o, update_loops<float>().adadelta);
  else
    run<double>(a, square, delta, nullptr, o, update_loops<double>().adadelta);
}

}  // namespace thalweg::kernels

// See dims.hpp. Depends on fmt.
#include <thalweg/ops/structured/dims.hpp>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>

namespace thalweg::ops {

int resolve_dim(const Ins& in, std::int64_t d, int rank, const char* arg) {
  const std::int64_t r = d < 0 ? d + rank : d;
  if (r < 0 || r >= rank)
    in.fail<IndexError>(arg, fmt::format("{}", d),
                        rank == 0 ? std::string("no dimension: the tensor is 0-d") : fmt::format("{} to {}", -rank, rank - 1),
                        "dimension out of range");
  return static_cast<int>(r);
}

Dims resolve_dims(const Ins& in, const Dims& dims, int rank) {
  bool used[max_dims] = {};
  for (std::int64_t d : dims) {
    const int r = resolve_dim(in, d, rank, "dims");
    if (used[r])
      in.fail<ValueError>("dims", to_string(dims), "each dimension once", "a dimension is named twice");
    used[r] = true;
  }
  Dims out;
  for (int r = 0; r < rank; ++r)
    if (dims.empty() || used[r]) out.push_back(r);
  return out;
}

Dims resolved(const Dims& dims, int rank) {
  Dims out;
  for (int r = 0; r < rank; ++r)
    if (dims.empty() || dims.contains(r) || dims.contains(r - rank)) out.push_back(r);
  return out;
}

Dims reduced_shape(const Dims& shape, const Dims& dims, bool keepdim) {
  Dims out;
  for (int d = 0; d < shape.size(); ++d) {
    if (!dims.contains(d)) out.push_back(shape[d]);
    else if (keepdim) out.push_back(1);
  }
  return out;
}

Tensor restore_dims(const Tensor& t, const Dims& full_shape, const Over& over) {
  if (over.keepdim || full_shape.size() == t.dim()) return t;
  return reshape(t, reduced_shape(full_shape, resolved(over.dims, full_shape.size()), true));
}

void require_floating(const Ins& in, int i, const char* arg) {
  if (!is_floating(in[i].dtype)) in.fail<DTypeError>(arg, describe(in[i]), "f32 or f64", "not a floating tensor");
}

void require_present(const Ins& in, int i, const char* arg) {
  if (!in.has(i)) in.fail<ValueError>(arg, "undefined", "a tensor", "undefined tensor");
}

}  // namespace thalweg::ops

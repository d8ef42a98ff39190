// The public functions of shapes and copies, and what the files of the family share. Depends on
// functions.hpp, fmt.
#include <thalweg/ops/structured/shape.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg {

namespace ops {

Dims repeated_dims(const Dims& narrow, const Dims& wide) noexcept {
  const int lead = wide.size() - narrow.size();
  Dims repeated;
  for (int d = 0; d < wide.size(); ++d)
    if (d < lead || (narrow[d - lead] == 1 && wide[d] != 1)) repeated.push_back(d);
  return repeated;
}

}  // namespace ops

Tensor reshape(Arg x, const Dims& shape) { return apply<ops::Reshape>({shape}, x); }
Tensor view(Arg x, const Dims& shape) { return apply<ops::ViewAs>({shape}, x); }
Tensor transpose(Arg x, int dim0, int dim1) { return apply<ops::Transpose>({dim0, dim1}, x); }
Tensor permute(Arg x, const Dims& order) { return apply<ops::Permute>({order}, x); }
Tensor expand(Arg x, const Dims& shape) { return apply<ops::Expand>({shape}, x); }
Tensor unsqueeze(Arg x, int dim) { return apply<ops::Unsqueeze>({dim}, x); }
Tensor squeeze(Arg x, int dim) { return apply<ops::Squeeze>({Dims{dim}}, x); }
Tensor squeeze(Arg x) { return apply<ops::Squeeze>(x); }
Tensor flatten(Arg x, int start, int end) { return apply<ops::Flatten>({start, end}, x); }

Tensor slice(Arg x, int dim, std::int64_t start, std::int64_t end, std::int64_t step) {
  return apply<ops::Slice>({dim, start, end, step}, x);
}
Tensor select(Arg x, int dim, std::int64_t index) { return apply<ops::Select>({dim, index}, x); }
Tensor slice_backward(Arg g, std::int64_t size, int dim, std::int64_t start, std::int64_t end,
                      std::int64_t step) {
  return apply<ops::SliceBackward>({size, {dim, start, end, step}}, g);
}

namespace {

[[noreturn]] void refuse_split(const char* op, const char* arg, std::string given, std::string wanted,
                               Loc loc) {
  throw_error<ShapeError>({.op = op,
                           .arg = arg,
                           .given = std::move(given),
                           .wanted = std::move(wanted),
                           .what = "the parts do not make up the dimension",
                           .loc = loc});
}

}  // namespace

std::vector<Tensor> split(Arg x, std::span<const std::int64_t> sizes, int dim) {
  const std::int64_t size = x.t.size(dim, x.loc);
  std::int64_t total = 0;
  bool bad = false;
  for (std::int64_t s : sizes) bad |= s < 0 || __builtin_add_overflow(total, s, &total);
  if (bad || total != size)
    refuse_split("split", "sizes", fmt::format("[{}]", fmt::join(sizes, ",")),
                 fmt::format("sizes of 0 or more that add up to {}", size), x.loc);
  std::vector<Tensor> parts;
  parts.reserve(sizes.size());
  std::int64_t at = 0;
  for (std::int64_t s : sizes) {
    parts.push_back(slice(x, dim, at, at + s));
    at += s;
  }
  return parts;
}

std::vector<Tensor> split(Arg x, std::initializer_list<std::int64_t> sizes, int dim) {
  return split(x, std::span<const std::int64_t>(sizes.begin(), sizes.size()), dim);
}

std::vector<Tensor> chunk(Arg x, std::int64_t n, int dim) {
  const std::int64_t size = x.t.size(dim, x.loc);
  if (n < 1) refuse_split("chunk", "n", fmt::format("{}", n), "1 or more", x.loc);
  const std::int64_t each = std::max<std::int64_t>(1, size / n + (size % n != 0));
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < size || parts.empty(); at += each)
    parts.push_back(slice(x, dim, at, std::min(size, at + each)));
  return parts;
}

Tensor cat(std::span<const Tensor> xs, int dim, Loc loc) {
  return std::move(apply_all<ops::Cat>(ops::Cat::Attrs::of(dim, xs), xs, loc)[0]);
}
Tensor cat(std::initializer_list<Tensor> xs, int dim, Loc loc) {
  return cat(std::span<const Tensor>(xs.begin(), xs.size()), dim, loc);
}
Tensor stack(std::span<const Tensor> xs, int dim, Loc loc) {
  return std::move(apply_all<ops::Stack>({dim}, xs, loc)[0]);
}
Tensor stack(std::initializer_list<Tensor> xs, int dim, Loc loc) {
  return stack(std::span<const Tensor>(xs.begin(), xs.size()), dim, loc);
}

Tensor flip(Arg x, const Dims& dims) { return apply<ops::Flip>({dims}, x); }
Tensor pad(Arg x, const Dims& before, const Dims& after, double value) {
  return apply<ops::Pad>({before, after, value}, x);
}
Tensor clone(Arg x) { return apply<ops::Clone>(x); }

Tensor contiguous(Arg x) { return x.t.defined() && x.t.is_contiguous() ? x.t : clone(x); }
Tensor cast(Arg x, DType dtype) {
  return x.t.defined() && x.t.dtype() == dtype ? x.t : apply<ops::Cast>({dtype}, x);
}

void describe_shape(std::vector<OpInfo>& to) { describe_all(ops::ShapeOps{}, to); }

}  // namespace thalweg

// Dims: up to eight signed 64-bit numbers held inline; shapes, strides (in elements) and axis lists.
// Depends on nothing of the project. Invariant: entries past size() mean nothing; the first four are always initialised.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>

namespace thalweg {

inline constexpr int max_dims = 8;

/// Out of line and cold: throws ShapeError("more than 8 dimensions").
[[noreturn]] void throw_too_many_dims(std::int64_t wanted);

class Dims {
 public:
  constexpr Dims() noexcept : size_(0) { clear_head(); }
  constexpr Dims(std::initializer_list<std::int64_t> v) : Dims(v.begin(), static_cast<std::int64_t>(v.size())) {}
  constexpr explicit Dims(std::span<const std::int64_t> v) : Dims(v.data(), static_cast<std::int64_t>(v.size())) {}
  constexpr Dims(const std::int64_t* first, std::int64_t n) : size_(0) {
    clear_head();
    if (n > max_dims) throw_too_many_dims(n);
    for (std::int64_t i = 0; i < n; ++i) d_[i] = first[i];
    size_ = static_cast<int>(n);
  }
  constexpr Dims(const Dims& o) noexcept : size_(o.size_) { copy(o); }
  constexpr Dims& operator=(const Dims& o) noexcept {
    size_ = o.size_;
    copy(o);
    return *this;
  }
  /// `n` entries, each `value`.
  static constexpr Dims filled(int n, std::int64_t value) {
    if (n > max_dims) throw_too_many_dims(n);
    Dims r;
    r.size_ = n;
    for (int i = 0; i < n; ++i) r.d_[i] = value;
    return r;
  }

  constexpr int size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr std::int64_t operator[](int i) const noexcept { return d_[i]; }
  constexpr std::int64_t& operator[](int i) noexcept { return d_[i]; }
  constexpr std::int64_t back() const noexcept { return d_[size_ - 1]; }
  constexpr std::int64_t& back() noexcept { return d_[size_ - 1]; }
  constexpr const std::int64_t* begin() const noexcept { return d_; }
  constexpr const std::int64_t* end() const noexcept { return d_ + size_; }
  constexpr std::int64_t* begin() noexcept { return d_; }
  constexpr std::int64_t* end() noexcept { return d_ + size_; }
  constexpr const std::int64_t* data() const noexcept { return d_; }

  constexpr void push_back(std::int64_t v) {
    if (size_ == max_dims) throw_too_many_dims(size_ + 1);
    d_[size_++] = v;
  }
  constexpr void pop_back() noexcept { --size_; }
  constexpr void clear() noexcept { size_ = 0; }
  constexpr void insert(int at, std::int64_t v) {
    push_back(v);
    for (int i = size_ - 1; i > at; --i) d_[i] = d_[i - 1];
    d_[at] = v;
  }
  constexpr void erase(int at) noexcept {
    for (int i = at; i + 1 < size_; ++i) d_[i] = d_[i + 1];
    --size_;
  }
  constexpr bool contains(std::int64_t v) const noexcept {
    for (std::int64_t x : *this)
      if (x == v) return true;
    return false;
  }

  friend constexpr bool operator==(const Dims& a, const Dims& b) noexcept {
    if (a.size_ != b.size_) return false;
    for (int i = 0; i < a.size_; ++i)
      if (a.d_[i] != b.d_[i]) return false;
    return true;
  }

 private:
  /// Up to four entries, the usual case, move as four words: on the recording path a loop of unknown length becomes a
  /// call of memmove, and a vector load of words that were just stored one by one stalls until they reach the cache
  /// (12 cycles; together a third of the time of an unrecorded op). Hence the empty asm, which keeps them words.
  constexpr void copy(const Dims& o) noexcept {
    if (!std::is_constant_evaluated() && size_ <= 4) {
      std::int64_t a = o.d_[0], b = o.d_[1], c = o.d_[2], d = o.d_[3];
      keep_words(a, b, c, d);
      d_[0] = a, d_[1] = b, d_[2] = c, d_[3] = d;
      return;
    }
    for (int i = 0; i < size_; ++i) d_[i] = o.d_[i];
    if (size_ < 4)
      for (int i = size_; i < 4; ++i) d_[i] = 0;
  }
  static void keep_words(std::int64_t& a, std::int64_t& b, std::int64_t& c, std::int64_t& d) noexcept {
    asm("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
  }
  /// The first four entries are always initialised, because copy() moves them whatever the size.
  constexpr void clear_head() noexcept { d_[0] = d_[1] = d_[2] = d_[3] = 0; }

  int size_;
  std::int64_t d_[max_dims];
};

/// Product of the entries; 1 for no dimension at all. Overflow is excluded where a shape is made (checked_numel).
constexpr std::int64_t numel(const Dims& shape) noexcept {
  std::int64_t n = 1;
  for (std::int64_t d : shape) n *= d;
  return n;
}

/// The thorough form of checked_numel.
std::int64_t checked_numel_large(const Dims& shape, std::int64_t itemsize);

/// Product of the entries; throws ShapeError when one is negative or the bytes would overflow 63 bits.
inline std::int64_t checked_numel(const Dims& shape, std::int64_t itemsize) {
  std::int64_t n = 1;
  for (std::int64_t d : shape) {
    if (d < 0 || d > (std::int64_t{1} << 20) || n > (std::int64_t{1} << 38)) [[unlikely]]
      return checked_numel_large(shape, itemsize);
    n *= d;
  }
  return n;
}

/// Row-major strides, in elements; of a shape too large, which its maker refuses after this, some numbers.
constexpr Dims contiguous_strides(const Dims& shape) noexcept {
  Dims s = shape;
  std::uint64_t step = 1;  // may wrap around
  for (int i = shape.size() - 1; i >= 0; --i) {
    s[i] = static_cast<std::int64_t>(step);
    step *= static_cast<std::uint64_t>(shape[i] > 1 ? shape[i] : 1);
  }
  return s;
}

/// True when `strides` walk `shape` densely in row-major order; dimensions of extent 1 do not matter.
constexpr bool is_contiguous(const Dims& shape, const Dims& strides) noexcept {
  std::int64_t step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

/// "[2,3]".
std::string to_string(const Dims& d);

}  // namespace thalweg

// Integers that name things and cannot be mixed up with each other.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>

namespace culvert {

/// A number of type T that names one kind of thing, told apart from others by Tag. A value; no arithmetic.
template <class Tag, std::unsigned_integral T>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(T value) noexcept : value_(value) {}
  [[nodiscard]] constexpr T value() const noexcept { return value_; }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;

 private:
  T value_{};
};

}  // namespace culvert

template <class Tag, class T>
struct std::hash<culvert::StrongId<Tag, T>> {
  std::size_t operator()(culvert::StrongId<Tag, T> id) const noexcept { return std::hash<T>{}(id.value()); }
};

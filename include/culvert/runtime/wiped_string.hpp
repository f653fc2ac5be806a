// Text that holds a key.
#pragma once

#include <memory>
#include <string>

#include "culvert/crypto/keys.hpp"

namespace culvert {

/// Gives no memory back before it is wiped, also when a container grows.
template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  WipingAllocator(const WipingAllocator<U>&) noexcept {}  // NOLINT: containers convert
  [[nodiscard]] T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* memory, std::size_t count) noexcept {
    wipe(std::as_writable_bytes(std::span(memory, count)));
    std::allocator<T>().deallocate(memory, count);
  }
  friend bool operator==(WipingAllocator, WipingAllocator) noexcept { return true; }
};

/// Wiped when it grows and when it goes. Texts short enough to lie in the object itself (15 bytes) are not: too short
/// for a key.
using WipedString = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;

}  // namespace culvert

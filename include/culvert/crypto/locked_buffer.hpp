// Memory for text that has keys in it, on its way in or out.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "culvert/base/bytes.hpp"

namespace culvert {

/// A buffer of fixed size in locked memory, left out of core dumps, between guard pages; zeroed when made, wiped when it goes.
/// Move-only. If the system refuses to lock it, it is usable all the same. Throws std::bad_alloc.
class LockedBuffer {
 public:
  explicit LockedBuffer(std::size_t size);
  [[nodiscard]] std::span<char> chars() const noexcept { return {memory_.get(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Free {
    void operator()(char* memory) const noexcept;
  };
  std::unique_ptr<char, Free> memory_;
  std::size_t size_;
};

}  // namespace culvert

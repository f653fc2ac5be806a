// Memory for text that has keys in it.
#include "culvert/crypto/locked_buffer.hpp"

#include <sodium.h>

#include <cstring>
#include <new>

namespace culvert {

LockedBuffer::LockedBuffer(std::size_t size) : memory_(static_cast<char*>(sodium_malloc(size))), size_(size) {
  if (!memory_) throw std::bad_alloc();
  std::memset(memory_.get(), 0, size_);
}

void LockedBuffer::Free::operator()(char* memory) const noexcept {
  // Wipes before it unlocks.
  sodium_free(memory);
}

}  // namespace culvert

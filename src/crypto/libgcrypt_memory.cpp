// libgcrypt's allocator: slots of locked memory, and the heap for what is larger than any handle.
#include "libgcrypt_memory.hpp"

#include <gcrypt.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "culvert/crypto/keys.hpp"

namespace culvert::detail {
namespace {

using Slot = LockedSlot<libgcrypt_slot_size>;

/// In front of what is lent.
struct alignas(16) Header {
  std::size_t size;
  bool is_slot;
};

Header* header_of(void* memory) noexcept {
  return static_cast<Header*>(memory) - 1;
}

extern "C" {

void* take(std::size_t size) {
  if (size > SIZE_MAX - sizeof(Header)) return nullptr;
  const bool is_slot = size <= libgcrypt_slot_size - sizeof(Header);
  void* const memory = is_slot ? Slot().release() : std::malloc(sizeof(Header) + size);
  if (memory == nullptr) return nullptr;
  return new (memory) Header{size, is_slot} + 1;
}

void give_back(void* memory) {
  if (memory == nullptr) return;
  Header* const header = header_of(memory);
  if (!header->is_slot) return std::free(header);
  const Slot wiped_when_it_goes(reinterpret_cast<std::byte*>(header));
}

void* take_again(void* memory, std::size_t size) {
  void* const fresh = take(size);
  if (fresh == nullptr || memory == nullptr) return fresh;
  std::memcpy(fresh, memory, std::min(size, header_of(memory)->size));
  give_back(memory);
  return fresh;
}

int is_secure(const void*) {
  return 0;
}
}

}  // namespace

void lend_locked_memory_to_libgcrypt() noexcept {
  gcry_set_allocation_handler(take, take, is_secure, take_again, give_back);
}

}  // namespace culvert::detail

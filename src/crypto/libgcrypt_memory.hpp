// Where libgcrypt's handles lie, which have key schedules and keyed hash states in them.
#pragma once

#include <cstddef>

namespace culvert::detail {

/// Holds the largest handle in use here, that of AES-256-GCM, and what is kept of it in front.
inline constexpr std::size_t libgcrypt_slot_size = 2048;

/// From now on libgcrypt has its handles in slots of locked memory, which are wiped when it gives them back. To be
/// called before anything else of it.
void lend_locked_memory_to_libgcrypt() noexcept;

}  // namespace culvert::detail

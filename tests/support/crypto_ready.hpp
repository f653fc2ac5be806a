// Readies the cryptographic libraries before main in every binary that includes this.
#pragma once

#include "culvert/crypto/initialize.hpp"

namespace culvert {

inline const bool crypto_is_ready = (initialize_crypto(), true);

}  // namespace culvert

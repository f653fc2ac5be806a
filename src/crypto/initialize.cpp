// Readies libsodium and libgcrypt.
#include "culvert/crypto/initialize.hpp"

#include <gcrypt.h>
#include <sodium.h>

#include <stdexcept>

#include "libgcrypt_memory.hpp"

namespace culvert {
namespace {

bool initialize_libraries() {
  if (sodium_init() < 0) throw std::runtime_error("libsodium cannot be initialized");
  if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P) == 0) {
    detail::lend_locked_memory_to_libgcrypt();
    if (gcry_check_version(GCRYPT_VERSION) == nullptr) {
      throw std::runtime_error("libgcrypt is older than the one this program was built with");
    }
    // Its own pool of locked memory is too small for many handles, and would only use up the limit.
    gcry_control(GCRYCTL_DISABLE_SECMEM);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED);
  }
  // In FIPS mode the library is there and BLAKE2 is not.
  if (gcry_md_test_algo(GCRY_MD_BLAKE2S_256) != 0 || gcry_md_test_algo(GCRY_MD_BLAKE2S_128) != 0) {
    throw std::runtime_error("libgcrypt does not offer BLAKE2s");
  }
  return true;
}

}  // namespace

void initialize_crypto() {
  [[maybe_unused]] static const bool once = initialize_libraries();
}

}  // namespace culvert

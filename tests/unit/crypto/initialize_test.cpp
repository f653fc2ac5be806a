// Initializing more than once.
#include "culvert/crypto/initialize.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "culvert/crypto/hash.hpp"
#include "support/hex.hpp"

namespace culvert {
namespace {

TEST(InitializeCrypto, may_be_called_again_and_from_any_thread) {
  initialize_crypto();
  std::thread([] { initialize_crypto(); }).join();
  initialize_crypto();
  EXPECT_EQ(to_hex(blake2s({bytes_of("abc")})).substr(0, 8), "508c5e8c");
}

}  // namespace
}  // namespace culvert

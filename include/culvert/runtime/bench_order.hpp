// What a daemon tells the process that it starts to be measured against.
#pragma once

#include <net/if.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "culvert/crypto/keys.hpp"

namespace culvert {

/// The command of this program that the process runs: culvert BENCH_COMMAND. It inherits two descriptors.
inline constexpr const char* bench_command_word = "serve-bench";
inline constexpr int bench_listener_fd = 3;  ///< listens for the one that brings the token
inline constexpr int bench_order_fd = 4;     ///< gives a BenchOrder, once; to be closed when the token has come

/// The longest that a peer is let to measure.
inline constexpr std::uint16_t bench_seconds_max = 15 * 60;

/// As it is: from and to the same program. Holds a secret.
struct BenchOrder {
  std::array<std::byte, key_size> token{};
  std::uint64_t rate = 0;               ///< bits a second that may go in each direction; 0: any
  std::uint32_t seconds = 0;            ///< after which it ends
  std::int32_t daemon = 0;              ///< number of the process that gives the order
  std::array<char, IFNAMSIZ> device{};  ///< that all sockets are bound to, with a terminating zero
};

}  // namespace culvert

// A tunnel to a peer as something to be measured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "culvert/bench/bench_peer.hpp"
#include "culvert/bench/measured_tunnel.hpp"
#include "culvert/bench/plan.hpp"
#include "culvert/bench/result.hpp"
#include "culvert/bench/sweep.hpp"

namespace culvert {

/// As people say it: 8 Mbit/s.
[[nodiscard]] std::string rate_words(std::uint64_t bits_per_second);

/// How the tunnel is set up, as far as this end knows it. Throws std::runtime_error for a cipher that is not known.
[[nodiscard]] Arrangement arrangement_of(const BenchTunnel& tunnel);

/// Connects to the peer and measures the tunnel; what it costs is that of this end's daemon. Throws std::exception, and
/// std::invalid_argument for a wish that does not fit the tunnel.
[[nodiscard]] BenchResult measure_peer(const std::string& peer, const std::string& tunnel, const BenchWish& wish,
                                       const SweepSettings& settings, const OnSweepProgress& on_progress);

}  // namespace culvert

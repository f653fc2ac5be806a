// The far end of a benchmark through a tunnel: a process that a daemon starts for one peer.
#pragma once

namespace culvert {

/// Reads the order, keeps no rights that it does not need, waits for the one connection that brings the token, and does
/// what it is told there, within bounds, until the connection or the time ends, nothing was asked for half a minute, or
/// the daemon is gone. Takes over both descriptors of runtime/bench_order.hpp. Returns an exit status.
int serve_bench();

}  // namespace culvert

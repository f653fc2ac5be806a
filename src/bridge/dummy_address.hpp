// An IPv4 address that means nothing, for a bridge that has no other yet, or any more.
#pragma once

#include "culvert/bridge/journal.hpp"
#include "culvert/io/netlink.hpp"

namespace culvert {

/// For the lifetime of this object a bridge of ours has an IPv4 address (RFC 7600). Without any it takes every packet
/// for a forgery unless rp_filter is 0 (__fib_validate_source in net/ipv4/fib_frontend.c), so that a NIC's packets
/// would be lost between its becoming a port and the arrival of its addresses at the bridge. A segment lost in a live
/// connection costs 200 ms, after which its sender repeats it. `netlink` and `journal` outlive it.
class DummyAddress {
 public:
  DummyAddress(Netlink& netlink, const BridgeJournal& journal) noexcept;
  ~DummyAddress();
  DummyAddress(const DummyAddress&) = delete;
  DummyAddress& operator=(const DummyAddress&) = delete;

 private:
  Netlink& netlink_;
  const BridgeJournal& journal_;
};

/// Removes what a killed process left of it.
void remove_dummy_address(Netlink& netlink, const BridgeJournal& journal) noexcept;

}  // namespace culvert

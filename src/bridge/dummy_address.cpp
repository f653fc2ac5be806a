// Giving a bridge an IPv4 address that means nothing.
#include "dummy_address.hpp"

#include <exception>

namespace culvert {

namespace {

Prefix dummy_address() {
  return Prefix::parse("192.0.0.8/32").value();
}

// A bridge of somebody else's gets no addresses of the NIC.
bool is_of_use(const BridgeJournal& journal) noexcept {
  return journal.is_own_bridge && journal.bridge.index != 0;
}

}  // namespace

DummyAddress::DummyAddress(Netlink& netlink, const BridgeJournal& journal) noexcept
    : netlink_(netlink), journal_(journal) {
  if (!is_of_use(journal)) return;
  try {
    netlink.add_address(journal.bridge.index, dummy_address());
  } catch (const std::exception&) {
    // Then a packet may be lost.
  }
}

DummyAddress::~DummyAddress() {
  remove_dummy_address(netlink_, journal_);
}

void remove_dummy_address(Netlink& netlink, const BridgeJournal& journal) noexcept {
  if (!is_of_use(journal)) return;
  try {
    netlink.remove_address(journal.bridge.index, dummy_address());
  } catch (const std::exception&) {
    // It goes with the bridge at the latest.
  }
}

}  // namespace culvert

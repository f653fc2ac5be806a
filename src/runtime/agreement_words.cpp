// What a peer is, in words.
#include "culvert/runtime/agreement_words.hpp"

namespace culvert {

std::string_view nature_word(const Agreement& agreement) noexcept {
  switch (agreement.nature()) {
    case PeerNature::Unknown:
      return "unknown";
    case PeerNature::Stock:
      return "stock";
    case PeerNature::Culvert:
      break;
  }
  return agreement.said()->mode == DeviceMode::Switched ? "switched" : "routed";
}

std::string_view mismatch_words(const Agreement& agreement, DeviceMode ours) noexcept {
  if (agreement.fits(ours) || agreement.nature() == PeerNature::Unknown) return {};
  if (ours == DeviceMode::Routed) {
    return "carries Ethernet frames and this device IP packets, so nothing is forwarded: set the same Mode at both "
           "ends";
  }
  if (agreement.nature() == PeerNature::Stock) {
    return "is a WireGuard that carries IP packets only and this device Ethernet frames, so nothing is forwarded: run "
           "culvert with Mode = tap at both ends, or set Mode = tun here";
  }
  return "carries IP packets and this device Ethernet frames, so nothing is forwarded: set the same Mode at both ends";
}

}  // namespace culvert

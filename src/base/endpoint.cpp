// Reading and writing endpoints.
#include "culvert/base/endpoint.hpp"

#include <algorithm>

#include "decimal.hpp"

namespace culvert {
namespace {

/// Whether an IPv6 address is in ::ffff:0:0/96. On a socket for both families the kernel would send such a datagram as
/// IPv4, and the answer's source would compare unequal to what was configured.
bool is_ipv4_mapped(const Address& address) noexcept {
  const ByteView bytes = address.bytes();
  const bool zeros =
      std::all_of(bytes.begin(), bytes.begin() + 10, [](std::byte byte) { return byte == std::byte{0}; });
  return zeros && bytes[10] == std::byte{0xff} && bytes[11] == std::byte{0xff};
}

/// Whether an IPv6 address is in fe80::/10 (RFC 4291 section 2.5.6).
bool is_link_local(const Address& address) noexcept {
  const ByteView bytes = address.bytes();
  return bytes[0] == std::byte{0xfe} && (bytes[1] & std::byte{0xc0}) == std::byte{0x80};
}

/// What stands between the brackets: an IPv6 address, perhaps with a scope.
std::optional<Endpoint> parse_bracketed(std::string_view text) noexcept {
  const std::size_t percent = text.find('%');
  const auto address = Address::parse(text.substr(0, percent));
  if (!address || address->is_v4() || is_ipv4_mapped(*address)) return std::nullopt;
  if (percent == std::string_view::npos) return Endpoint{*address};
  const auto scope = detail::parse_decimal<std::uint32_t>(text.substr(percent + 1));
  if (!scope || *scope == 0 || !is_link_local(*address)) return std::nullopt;
  return Endpoint{*address, 0, *scope};
}

}  // namespace

std::optional<Endpoint> Endpoint::parse(std::string_view text) noexcept {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  std::optional<Endpoint> endpoint;
  if (host.starts_with('[') && host.ends_with(']')) {
    endpoint = parse_bracketed(host.substr(1, host.size() - 2));
  } else if (const auto address = Address::parse(host); address && address->is_v4()) {
    endpoint = Endpoint{*address};
  }
  const auto port = detail::parse_decimal<std::uint16_t>(text.substr(colon + 1));
  if (!endpoint || !port) return std::nullopt;
  endpoint->port = *port;
  return endpoint;
}

std::string Endpoint::to_string() const {
  std::string host = address.to_string();
  if (!address.is_v4()) {
    if (scope_id != 0) host += '%' + std::to_string(scope_id);
    host = '[' + host + ']';
  }
  return host + ':' + std::to_string(port);
}

}  // namespace culvert

// Tells numbers, rates, hosts and endpoints from what only looks like them, and says where it goes wrong.
#include "values.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace culvert {

namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool is_letter_or_digit(char c) noexcept {
  return is_letter(c) || is_digit(c);
}

IniText text_at(const IniText& whole, std::string_view part) noexcept {
  return {part, whole.line, whole.column + static_cast<unsigned>(part.data() - whole.text.data())};
}

std::optional<std::uint64_t> parse_digits(std::string_view text, std::uint64_t max, int base) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

/// "fe80::1%eth0": the name is looked up together with the address. A number would need no looking up.
bool is_scoped_address(std::string_view text) noexcept {
  const std::size_t percent = text.find('%');
  if (percent == std::string_view::npos) return false;
  const auto address = Address::parse(text.substr(0, percent));
  const std::string_view scope = text.substr(percent + 1);
  return address && !address->is_v4() && is_interface_name(scope) && !std::all_of(scope.begin(), scope.end(), is_digit);
}

}  // namespace

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_visible(char c) noexcept {
  return c > 0x20 && c <= 0x7e;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) noexcept {
  return parse_digits(text, max, 10);
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) noexcept {
  if (text.starts_with("0x") || text.starts_with("0X")) return parse_digits(text.substr(2), max, 16);
  return parse_decimal(text, max);
}

std::optional<std::uint64_t> parse_rate(std::string_view text) noexcept {
  std::uint64_t unit = 1;
  if (!text.empty() && !is_digit(text.back())) {
    constexpr std::string_view units = "kMG";
    const std::size_t power = units.find(text.back());
    if (power == std::string_view::npos) return std::nullopt;
    for (std::size_t i = 0; i <= power; ++i) unit *= 1000;
    text.remove_suffix(1);
  }
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto whole = parse_decimal(text.substr(0, point), bench_rate_max / unit);
  if (!whole) return std::nullopt;
  std::uint64_t thousandths = 0;
  if (point != text.size()) {
    std::string digits(text.substr(point + 1));
    if (digits.empty() || digits.size() > 3) return std::nullopt;
    digits.resize(3, '0');
    const auto value = parse_decimal(digits, 999);
    if (!value) return std::nullopt;
    thousandths = *value;
  }
  return *whole * unit + thousandths * unit / 1000;
}

bool is_host_name(std::string_view text) noexcept {
  const auto allowed = [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_'; };
  const auto numeric = [](char c) { return is_digit(c) || c == '.'; };
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), allowed) &&
         !std::all_of(text.begin(), text.end(), numeric) && text.front() != '-' && text.front() != '.';
}

EndpointName parse_endpoint(const IniText& value) {
  const std::string_view text = value.text;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) {
    throw IniError(value, shown(text) + " has no port: expected \"host:port\" or \"[IPv6]:port\"");
  }
  const std::string_view port_text = text.substr(colon + 1);
  const auto port = parse_decimal(port_text, 65535);
  if (!port || *port == 0) {
    throw IniError(text_at(value, port_text), shown(port_text) + " is not a port: expected 1 to 65535");
  }
  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (!in_brackets && host.find(':') != std::string_view::npos) {
    throw IniError(value,
                   shown(host) + " is not a host: an IPv6 address stands in brackets, as in [2001:db8::1]:51820");
  }
  EndpointName endpoint{
      .host = std::string(host), .port = static_cast<std::uint16_t>(*port), .literal = Endpoint::parse(text)};
  if (in_brackets) {
    host = host.substr(1, host.size() - 2);
    endpoint.host = host;
    if (!endpoint.literal && !is_scoped_address(host)) {
      throw IniError(text_at(value, host), shown(host) + " is not an IPv6 address");
    }
  } else if (!endpoint.literal && !is_host_name(host)) {
    throw IniError(value, shown(host) + " is neither an IPv4 address nor a host name");
  }
  return endpoint;
}

void check_namespace(const IniText& value) {
  const std::string_view text = value.text;
  if (text.starts_with("pid:")) {
    const auto pid = parse_decimal(text.substr(4), std::numeric_limits<std::int32_t>::max());
    if (!pid || *pid == 0) throw IniError(value, shown(text) + " names no process: expected \"pid:\" and a number");
  } else if (text.find('/') != std::string_view::npos) {
    if (text.front() != '/') throw IniError(value, shown(text) + " is not an absolute path");
  } else if (text == "." || text == ".." || text.size() > 255 || !std::all_of(text.begin(), text.end(), is_visible)) {
    throw IniError(value, shown(text) + " is not a namespace: expected a name, an absolute path or \"pid:NUMBER\"");
  }
}

bool is_interface_name(std::string_view text) noexcept {
  constexpr std::string_view punctuation = "_=+.-";
  const auto allowed = [&](char c) { return is_letter_or_digit(c) || punctuation.find(c) != std::string_view::npos; };
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace culvert

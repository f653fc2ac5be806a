// What a single value of a wg-quick file may look like: characters, numbers, rates, hosts, endpoints, namespaces.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "culvert/config/config_file.hpp"
#include "ini_reader.hpp"

namespace culvert {

// ASCII alone, whatever the locale.
[[nodiscard]] bool is_letter(char c) noexcept;
[[nodiscard]] bool is_visible(char c) noexcept;

/// Digits alone, and no more than `max`.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) noexcept;

/// The same, or 0x and hexadecimal digits.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) noexcept;

/// Digits, up to three more behind a point, and k, M or G: bits a second, no more than bench_rate_max.
[[nodiscard]] std::optional<std::uint64_t> parse_rate(std::string_view text) noexcept;

/// Letters, digits, '-', '.' and '_', which is also what a resolver takes; not something that only looks like IPv4.
[[nodiscard]] bool is_host_name(std::string_view text) noexcept;

/// "host:port" or "[IPv6]:port". Throws IniError at what is wrong in it.
[[nodiscard]] EndpointName parse_endpoint(const IniText& value);

/// Lets a name, an absolute path and "pid:NUMBER" pass. Throws IniError.
void check_namespace(const IniText& value);

}  // namespace culvert

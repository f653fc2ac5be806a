// Ethernet addresses for people.
#include "culvert/base/mac_address.hpp"

namespace culvert {

std::string MacAddress::to_string() const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned shift = 48; shift != 0; shift -= 8) {
    if (!text.empty()) text += ':';
    text += digits[(value_ >> (shift - 4)) & 0xf];
    text += digits[(value_ >> (shift - 8)) & 0xf];
  }
  return text;
}

}  // namespace culvert

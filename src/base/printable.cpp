// Text from outside, made safe to show.
#include "culvert/base/printable.hpp"

namespace culvert {

std::string printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    if (c >= 0x20 && c <= 0x7e) {
      out += c;
    } else {
      const auto value = static_cast<unsigned char>(c);
      out += {'\\', 'x', digits[value >> 4], digits[value & 0xf]};
    }
  }
  return out;
}

}  // namespace culvert

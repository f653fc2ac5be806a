// Splits the text of a wg-quick file into section headers and entries; knows no key.
#include "ini_reader.hpp"

#include <algorithm>

#include "culvert/base/printable.hpp"

namespace culvert {

namespace {

constexpr std::string_view blanks = " \t";

bool is_control(char c) noexcept {
  return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f;
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
char lowered(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool is_base64(char c) noexcept {
  return (lowered(c) >= 'a' && lowered(c) <= 'z') || is_digit(c) || c == '+' || c == '/' || c == '=';
}

IniText advanced(const IniText& piece, std::size_t by) noexcept {
  return {piece.text.substr(by), piece.line, piece.column + static_cast<unsigned>(by)};
}

/// Whether `text` has a run of key characters longer than the words, numbers and addresses of a file usually have.
bool could_be_key(std::string_view text) noexcept {
  std::size_t run = 0;
  for (const char c : text) {
    run = is_base64(c) ? run + 1 : 0;
    if (run > 24) return true;
  }
  return false;
}

IniItem parse_section(const IniText& line) {
  if (line.text.back() != ']') throw IniError(line, "the section header does not end in ']'");
  return {.kind = IniItem::Kind::Section,
          .name = trimmed({line.text.substr(1, line.text.size() - 2), line.line, line.column + 1}),
          .value = {}};
}

IniItem parse_entry(const IniText& line) {
  const std::size_t equals = line.text.find('=');
  if (equals == std::string_view::npos) throw IniError(line, "expected \"Key = value\" or \"[Section]\"");
  const IniText name = trimmed({line.text.substr(0, equals), line.line, line.column});
  if (name.text.empty()) throw IniError(line, "no key stands before '='");
  return {.kind = IniItem::Kind::Entry, .name = name, .value = trimmed(advanced(line, equals + 1))};
}

}  // namespace

IniReader::IniReader(std::string_view text) noexcept : rest_(text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (rest_.starts_with(byte_order_mark)) rest_.remove_prefix(byte_order_mark.size());
}

std::optional<IniItem> IniReader::next() {
  while (!rest_.empty()) {
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    IniText line{rest_.substr(0, end), ++line_, 1};
    rest_.remove_prefix(std::min(end + 1, rest_.size()));

    if (line.text.ends_with('\r')) line.text.remove_suffix(1);
    line.text = line.text.substr(0, line.text.find('#'));
    const auto bad = std::find_if(line.text.begin(), line.text.end(), is_control);
    if (bad != line.text.end()) {
      const auto offset = static_cast<std::size_t>(bad - line.text.begin());
      throw IniError(advanced(line, offset), "control character '" + printable({&*bad, 1}) + "' is not allowed");
    }
    line = trimmed(line);
    if (line.text.empty()) continue;
    return line.text.front() == '[' ? parse_section(line) : parse_entry(line);
  }
  return std::nullopt;
}

IniText trimmed(IniText piece) noexcept {
  piece = advanced(piece, std::min(piece.text.find_first_not_of(blanks), piece.text.size()));
  piece.text = piece.text.substr(0, piece.text.find_last_not_of(blanks) + 1);
  return piece;
}

std::optional<IniText> take_list_item(IniText& list) {
  list = trimmed(list);
  if (list.text.empty()) return std::nullopt;
  const std::size_t size = std::min(list.text.find_first_of(", \t"), list.text.size());
  if (size == 0) throw IniError(list, "an item is missing before ','");
  const IniText item{list.text.substr(0, size), list.line, list.column};

  list = trimmed(advanced(list, size));
  if (list.text.starts_with(',')) {
    const IniText comma = list;
    list = trimmed(advanced(list, 1));
    if (list.text.empty()) throw IniError(comma, "an item is missing after ','");
  }
  return item;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lowered(x) == lowered(y); });
}

std::string shown(std::string_view text) {
  constexpr std::size_t length_max = 64;
  if (could_be_key(text)) return "this text (not shown, it could be a key)";
  return '\'' + printable(text.substr(0, length_max)) + (text.size() > length_max ? "...'" : "'");
}

}  // namespace culvert

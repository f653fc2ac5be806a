// Splits the text of a wg-quick file into section headers and entries; knows no key.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace culvert {

/// A piece of the file and where it starts, counting from 1 in bytes.
struct IniText {
  std::string_view text;
  unsigned line = 0;
  unsigned column = 0;
};

/// One line that is not empty: "[name]" or "name = value". All views point into the reader's text.
struct IniItem {
  enum class Kind : std::uint8_t { Section, Entry } kind = Kind::Entry;
  IniText name;   ///< without brackets and surrounding blanks
  IniText value;  ///< may be empty; without surrounding blanks
};

/// A line that is neither; what() says why.
class IniError : public std::runtime_error {
 public:
  IniError(const IniText& where, const std::string& message)
      : std::runtime_error(message), line(where.line), column(where.column) {}
  unsigned line;
  unsigned column;
};

/// Reads a text item by item. '#' starts a comment wherever it stands, as in wg(8) and wg-quick(8). A byte order mark
/// and carriage returns at line ends are passed over. Outside comments no control characters but tabs are let through.
class IniReader {
 public:
  /// `text` outlives the reader and its items.
  explicit IniReader(std::string_view text) noexcept;
  /// Empty at the end of the text. Throws IniError.
  std::optional<IniItem> next();

 private:
  std::string_view rest_;
  unsigned line_ = 0;
};

/// Removes blanks and tabs at both ends, moving the column along.
[[nodiscard]] IniText trimmed(IniText piece) noexcept;

/// Takes the next word off `list`, whose items are separated by commas, blanks or both. Empty when nothing is left.
/// Throws IniError when two commas have nothing between them, or one has nothing before or after it.
std::optional<IniText> take_list_item(IniText& list);

/// Whether two words are the same but for the case of ASCII letters.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// `text` in quotes, fit for a terminal and a log: bytes outside 0x20…0x7e as \xNN, long text cut, and text that could
/// be a key or a part of one left out.
[[nodiscard]] std::string shown(std::string_view text);

}  // namespace culvert

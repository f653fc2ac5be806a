// Finding the first word of a command to run.
#include "end_of_options.hpp"

#include <string>
#include <string_view>

namespace culvert {

namespace {

/// How many words an option with its value takes; 0 for one that there is not.
std::size_t words_of_option(const CLI::App& subcommand, const std::string& word) {
  const auto* const option = subcommand.get_option_no_throw(word.substr(0, word.find('=')));
  if (option == nullptr) return 0;
  const bool is_followed_by_value = option->get_items_expected_max() > 0 && word.find('=') == std::string::npos;
  return is_followed_by_value ? 2 : 1;
}

}  // namespace

std::vector<char*> with_end_of_options(const CLI::App& subcommand, unsigned words_before, std::vector<char*> words) {
  static char end_of_options[] = "--";
  if (words.size() < 2 || words[1] != subcommand.get_name()) return words;
  for (std::size_t at = 2; at < words.size();) {
    const std::string word = words[at];
    if (word == "--") return words;
    if (word.size() > 1 && word.front() == '-') {
      const std::size_t count = words_of_option(subcommand, word);
      if (count == 0) return words;
      at += count;
    } else if (words_before != 0) {
      --words_before;
      ++at;
    } else {
      words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), end_of_options);
      return words;
    }
  }
  return words;
}

}  // namespace culvert

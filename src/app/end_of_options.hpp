// Where the words of culvert end and those of a command begin.
#pragma once

#include <CLI/CLI.hpp>
#include <vector>

namespace culvert {

/// For a subcommand that ends with a command to run: the words of the command line with "--" in front of that command,
/// so that its options are its own, as env(1) and nsenter(1) have it. `words_before`: how many others, which are no
/// options, come first. Unchanged for other subcommands, and where "--" stands already.
[[nodiscard]] std::vector<char*> with_end_of_options(const CLI::App& subcommand, unsigned words_before,
                                                     std::vector<char*> words);

}  // namespace culvert

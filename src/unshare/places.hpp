// Where files are that others are to be seen in place of.
#pragma once

#include <string>
#include <vector>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// The path itself and what symbolic links lead to from it, step by step; nothing need be at the last one.
[[nodiscard]] std::vector<std::string> links_from(std::string path);
[[nodiscard]] std::string folder_of(const std::string& path);
/// A new one that all may read. Throws std::system_error.
UniqueFd make_file(const std::string& path, const std::string& text);
/// The file that `path` leads to; there is one afterwards, if need be in the place of a link. Throws
/// std::system_error.
std::string make_place_for(const std::string& path);

}  // namespace culvert

// What is allowed but bites people.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "culvert/config/config_file.hpp"

namespace culvert {

/// The addresses that a name stands for, none if they are not known now.
using FindEndpoint = std::function<std::vector<Endpoint>(const EndpointName&)>;

/// Warnings about a file, each one line that begins with its path: a file others can read, a prefix at two peers, an
/// endpoint inside the tunnel, an MTU too large for the way. Asks the system, changes nothing. `find` looks names of
/// endpoints up; without it the way to them is taken to be the default route.
[[nodiscard]] std::vector<std::string> advice_on(const Config& config, const FindEndpoint& find = {});

}  // namespace culvert

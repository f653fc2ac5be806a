// A tunnel as it is now, in the words of a file.
#pragma once

#include <string>
#include <string_view>

#include "culvert/config/config_file.hpp"
#include "culvert/quick/journal.hpp"

namespace culvert {

/// Puts what the control socket said into `config`: keys, port, mark and peers. Where a peer's endpoint is known by a
/// name, the name stays. `own_mark` is what nobody asked for but was chosen with a routing table: no mark of the file.
/// Throws std::runtime_error for what no device says.
void take_device_state(Config& config, std::string_view said, std::uint32_t own_mark);

/// Writes the state of tunnel `name` to its file at `path`, which keeps what only files know. Throws std::exception.
void save_config(const std::string& path, const std::string& name, const JournalFolder& folder);

}  // namespace culvert

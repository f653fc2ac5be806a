// Undoing what nobody lived to undo.
#include "leftovers.hpp"

#include <unistd.h>

#include <exception>

#include "culvert/base/printable.hpp"
#include "culvert/netns/pinned_namespace.hpp"
#include "culvert/netns/unfinished_links.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/sandbox/connection.hpp"
#include "culvert/unshare/child.hpp"

namespace culvert {

void take_back_leftovers_of_killed() noexcept {
  try {
    if (::geteuid() != 0 || id_map_if_needed(IdMap::Own) != IdMap::None) return;
    remove_abandoned_names();
    remove_unfinished_links();
    ConnectionOptions options;
    options.say = [](const std::string& text) { spdlog::warn("{}", printable(text)); };
    take_back_leftovers(options);
  } catch (const std::exception& error) {
    spdlog::warn("{}", printable(error.what()));
  }
}

}  // namespace culvert

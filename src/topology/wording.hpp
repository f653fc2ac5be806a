// The short phrases about namespaces, links and tunnels that tree and drawing have in common. All printable.
#pragma once

#include <string>
#include <vector>

#include "culvert/topology/topology.hpp"

namespace culvert::topology {

/// Characters, of UTF-8 text without wide ones.
[[nodiscard]] std::size_t columns_of(std::string_view text);
/// Words in lines of at most `width` characters, two spaces between words; a word that is longer has a line of its own.
[[nodiscard]] std::vector<std::string> lines_of(const std::vector<std::string>& words, std::size_t width);

/// What there is to say about a namespace beside its label.
[[nodiscard]] std::vector<std::string> words_about(const Namespace& space);
/// Beside name, kind, state and MTU: port state, relation to another link, detail, addresses, who holds it.
/// `knows_lower`: whether it is shown otherwise what the link is joined to.
[[nodiscard]] std::vector<std::string> words_about(const Topology& topology, std::size_t space, const Link& link,
                                                   bool knows_lower, std::string_view arrow);
/// Endpoint, age of the handshake, allowed addresses.
[[nodiscard]] std::vector<std::string> words_about(const Topology& topology, const Peer& peer);

}  // namespace culvert::topology

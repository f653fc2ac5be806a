// What an engine remembers, as bytes that can be compared.
#pragma once

#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "culvert/engine/engine.hpp"

namespace culvert {

/// Every byte of every peer and of its sessions (counters, replay windows, timers, path, statistics), and how many of
/// each thing there are. Equal before and after: nothing was changed in place. Drop counters and load meters are left
/// out: those do change when packets are refused.
struct EngineSnapshot {
  explicit EngineSnapshot(const Engine& engine)
      : peer_count(engine.peers().size()),
        index_count(engine.peers().index_count()),
        prefix_count(engine.prefixes().size()),
        deadline(engine.next_deadline()) {
    engine.peers().for_each([this](const Peer& peer) {
      append(&peer, sizeof peer);
      for (const Session* session : {peer.sessions.current(), peer.sessions.previous(), peer.sessions.next()}) {
        if (session) append(session, sizeof *session);
      }
    });
  }

  friend bool operator==(const EngineSnapshot&, const EngineSnapshot&) = default;

  std::size_t peer_count;
  std::size_t index_count;
  std::size_t prefix_count;
  std::optional<Timestamp> deadline;
  std::vector<std::byte> memory;

 private:
  void append(const void* object, std::size_t size) {
    const std::size_t end = memory.size();
    memory.resize(end + size);
    std::memcpy(memory.data() + end, object, size);
  }
};

}  // namespace culvert

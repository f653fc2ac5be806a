// The greatest handshake timestamp sent under a key, remembered across restarts.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "culvert/crypto/keys.hpp"
#include "culvert/protocol/tai64n.hpp"
#include "culvert/runtime/background_writer.hpp"

namespace culvert {

/// Where the program keeps what outlives it: $STATE_DIRECTORY, or /var/lib/culvert; an ordinary user's is in
/// $XDG_STATE_HOME, or ~/.local/state.
[[nodiscard]] std::string state_directory();

/// A clock that was once far ahead leaves timestamps at our peers that a corrected clock would take years to pass
/// (CVE-2021-46873); continuing above what was sent avoids that, if what was sent is known. One small file per public
/// key, mode 0600, replaced atomically and written to disk by a BackgroundWriter, at most one write at a time.
class TimestampStore {
 public:
  /// What is saved is written also when the store is gone by then; the last to let go of `writer` waits for that.
  explicit TimestampStore(const PublicKey& own, std::string directory = state_directory(),
                          std::shared_ptr<BackgroundWriter> writer = std::make_shared<BackgroundWriter>());

  /// Nothing when there is no file, or it cannot be read or makes no sense, which the log says.
  [[nodiscard]] std::optional<Tai64n> load() const;
  /// Returns at once. A directory that cannot be written is reported once in the log.
  void save(const Tai64n& timestamp);
  [[nodiscard]] const std::string& path() const noexcept;
  [[nodiscard]] const PublicKey& owner() const noexcept { return owner_; }

 private:
  struct State;
  PublicKey owner_;
  std::shared_ptr<State> state_;
  std::shared_ptr<BackgroundWriter> writer_;
};

}  // namespace culvert

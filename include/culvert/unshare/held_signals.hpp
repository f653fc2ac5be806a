// Signals that are read instead of suffered, so that they can be handed on.
#pragma once

#include <signal.h>

#include <optional>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// For as long as it lives the calling thread, and what it starts meanwhile, neither stops nor ends on the signals by
/// which people end, interrupt and stop programs, nor on SIGPIPE: those are held back, to be read here. Dispositions
/// are not touched. Then all is as before, and what was not read arrives.
class HeldSignals {
 public:
  /// Throws std::system_error.
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  /// A signal that arrived.
  struct Signal {
    int number = 0;
    bool is_from_kernel = false;  ///< as from the terminal, which tells the whole process group
  };

  /// Becomes readable when a signal has arrived.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Nothing when there is none.
  [[nodiscard]] std::optional<Signal> take() noexcept;
  /// Of a program that ended with `status`, as a shell has it: the signal that ended it, if that was one that came
  /// here, too. Who started this process expects it to end by the same.
  [[nodiscard]] std::optional<int> common_end(int status) const noexcept;
  /// Holds SIGCHLD, too, and makes sure that it comes, for a process that has children of its own.
  void add_child_signal();
  /// Makes signals in the calling process as they were before: for a child that will run a program.
  void give_back() const noexcept;

 private:
  UniqueFd fd_;
  sigset_t held_{};
  sigset_t before_{};
  sigset_t taken_{};
  struct sigaction child_before_ {};
  bool has_child_signal_ = false;
};

}  // namespace culvert

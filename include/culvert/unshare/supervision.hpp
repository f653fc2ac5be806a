// A program in the namespaces of an UnsharedChild, as if the user had started it himself.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "culvert/unshare/channel.hpp"
#include "culvert/unshare/child.hpp"
#include "culvert/unshare/held_signals.hpp"

namespace culvert {

/// The status of a program that is there and cannot be run, and of one that is not there, as shells and env(1) have
/// them.
inline constexpr int status_not_runnable = 126;
inline constexpr int status_not_found = 127;

/// What the child's half does beside: attend() whenever `fd` is readable.
struct SideJob {
  int fd = -1;
  std::function<void()> attend;
};

/// The child's half. Starts `argv` (found as execvp(3) does) with the signals of before `signals`, in the process group
/// of all, and stays until it has ended: hands signals on to it, from the parent and those that came here; reaps
/// whatever ends in the PID namespace. Returns its status as a shell has it, which the parent learns, too; the process
/// is to end then, and with it, as process 1 of its PID namespace, all that the program left behind.
/// `before_exec` is called in the program's process at last.
[[nodiscard]] int supervise(const Channel& parent, HeldSignals& signals, const std::vector<std::string>& argv,
                            const std::function<void()>& before_exec = {}, const SideJob& side_job = {});

/// The number of the signal that the parent's half hands on with a message before there is a program; 0 for a message
/// of another kind.
[[nodiscard]] int handed_on(const ChannelMessage& message) noexcept;

/// The parent's half: hands the signals it gets on to the program, except for those that the terminal has sent to the
/// program, too, and stops when the program stops, so that the shell sees what it would without us in between.
class SupervisedChild {
 public:
  /// Both outlive this object.
  SupervisedChild(UnsharedChild& child, HeldSignals& signals);
  SupervisedChild(const SupervisedChild&) = delete;
  SupervisedChild& operator=(const SupervisedChild&) = delete;

  /// Told messages of the child that are not of these two halves, but for kind_failure, which is thrown as
  /// std::runtime_error.
  std::function<void(ChannelMessage)> on_message;

  /// Readable when attend() has something to do.
  [[nodiscard]] int fd() const noexcept { return ready_.get(); }
  /// Does what there is to do without waiting, except for the end of the child when it is near. The program's status
  /// once all is over.
  [[nodiscard]] std::optional<int> attend();
  /// attend() until it is over.
  [[nodiscard]] int wait();
  /// Why there was no program that could have ended; empty if there was.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

 private:
  void hand_signals_on();
  void end_with(const std::string& text);

  UnsharedChild& child_;
  HeldSignals& signals_;
  UniqueFd ready_;
  std::optional<int> status_;
  std::string failure_;
};

}  // namespace culvert

// A program that is process 1 of its PID namespace, as if the user had started it himself.
#pragma once

#include <string>
#include <vector>

#include "culvert/unshare/child.hpp"
#include "culvert/unshare/held_signals.hpp"

namespace culvert {

/// What a process does with a signal.
enum class SignalAction : std::uint8_t { Default, Handled, Ignored };
/// According to the text of /proc/PID/status; a blocked signal counts as handled, since the kernel keeps it.
[[nodiscard]] SignalAction action_on(int number, const std::string& status_text);

/// The child's half, at the end of its life: becomes `argv` (found as execvp(3) does), with the signals of before
/// `signals`. Returns the status of a program that cannot be run, which it says on standard error.
[[nodiscard]] int become_first_process(const HeldSignals& signals, const std::vector<std::string>& argv);

/// The parent's half: hands signals on and waits for the end. The kernel keeps from process 1 all signals that it does
/// not handle; what these would do to any other process, end or stop it, is done here: with SIGKILL, and then the
/// status is that of the signal, or SIGSTOP, and then this process stops, too. A terminal in which the program put
/// itself into the foreground comes back. Returns the program's status as a shell has it. Throws std::runtime_error
/// with what UnsharedChild::Life threw.
[[nodiscard]] int wait_for_first_process(UnsharedChild& child, HeldSignals& signals);

}  // namespace culvert

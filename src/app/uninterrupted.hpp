// Work that a signal does not end in the middle.
#pragma once

#include <signal.h>

namespace culvert {

/// While it lives, what would end the process waits: Ctrl-C, a closed terminal, the service manager, a reader that is
/// gone. For steps that take milliseconds. Afterwards a signal that came ends it, with all done or nothing.
class Uninterrupted {
 public:
  Uninterrupted() {
    sigset_t waiting;
    ::sigemptyset(&waiting);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::sigaddset(&waiting, number);
    ::pthread_sigmask(SIG_BLOCK, &waiting, &before_);
  }
  ~Uninterrupted() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;

 private:
  sigset_t before_;
};

}  // namespace culvert

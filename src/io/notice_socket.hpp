// A netlink socket that tells only that something changed, not what.
#pragma once

#include <initializer_list>

#include "nl.hpp"

namespace culvert {

/// Non-blocking, in the namespace in which it was made. Stays where it is: libnl is told its address.
class NoticeSocket {
 public:
  /// Listens to `groups` of rtnetlink (RTNLGRP_…). `subject` is what they tell of, for errors, and outlives this.
  /// Throws std::system_error.
  NoticeSocket(std::initializer_list<int> groups, const char* subject);
  NoticeSocket(const NoticeSocket&) = delete;
  NoticeSocket& operator=(const NoticeSocket&) = delete;

  [[nodiscard]] int fd() const noexcept;
  /// Forgets what was told so far; returns whether there was something, or something was lost.
  [[nodiscard]] bool take();

 private:
  void check(int code, const char* doing) const;

  nl::Socket socket_{nl_socket_alloc()};
  const char* subject_;
  bool is_changed_ = false;
};

}  // namespace culvert

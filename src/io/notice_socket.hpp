// A netlink socket that tells only that something changed, not what.
#pragma once

#include <initializer_list>

#include "nl.hpp"

namespace culvert {

/// Non-blocking, in the namespace in which it was made. Stays where it is: libnl is told its address.
class NoticeSocket {
 public:
  using Filter = bool (*)(nlmsghdr* notice);

  /// Listens to `groups` of rtnetlink (RTNLGRP_…), and of what these tell to what `is_relevant`, or without one to all.
  /// `subject` is what they tell of, for errors, and outlives this. Throws std::system_error.
  NoticeSocket(std::initializer_list<int> groups, const char* subject, Filter is_relevant = nullptr);
  NoticeSocket(const NoticeSocket&) = delete;
  NoticeSocket& operator=(const NoticeSocket&) = delete;

  [[nodiscard]] int fd() const noexcept;
  /// Forgets what was told so far; returns whether there was something, or something was lost.
  [[nodiscard]] bool take();

 private:
  static int take_message(nl_msg* message, void* self);
  void check(int code, const char* doing) const;

  nl::Socket socket_{nl_socket_alloc()};
  const char* subject_;
  Filter is_relevant_;
  bool is_changed_ = false;
};

}  // namespace culvert

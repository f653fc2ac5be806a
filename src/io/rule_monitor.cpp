// Listening to the kernel's rule notifications.
#include "culvert/io/rule_monitor.hpp"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include "errors.hpp"
#include "nl.hpp"

namespace culvert {

namespace {

int note_message(nl_msg*, void* argument) {
  *static_cast<bool*>(argument) = true;
  return NL_OK;
}

void check(int code, const char* what) {
  if (code < 0) throw_system_error(nl::to_errno(code), what);
}

}  // namespace

struct RuleMonitor::State {
  nl::Socket socket{nl_socket_alloc()};
  bool is_changed = false;
};

RuleMonitor::RuleMonitor() : state_(std::make_unique<State>()) {
  constexpr const char* what = "cannot watch routing rules over netlink";
  nl_sock* const socket = state_->socket.get();
  if (socket == nullptr) throw_system_error(ENOMEM, what);
  nl_socket_disable_seq_check(socket);
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, note_message, &state_->is_changed);
  check(nl_connect(socket, NETLINK_ROUTE), what);
  check(nl_socket_add_memberships(socket, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, 0), what);
  check(nl_socket_set_nonblocking(socket), what);
}

RuleMonitor::~RuleMonitor() = default;
RuleMonitor::RuleMonitor(RuleMonitor&&) noexcept = default;
RuleMonitor& RuleMonitor::operator=(RuleMonitor&&) noexcept = default;

int RuleMonitor::fd() const noexcept {
  return nl_socket_get_fd(state_->socket.get());
}

bool RuleMonitor::take() {
  state_->is_changed = false;
  for (;;) {
    const int code = nl_recvmsgs_default(state_->socket.get());
    if (code >= 0 || code == -NLE_INTR) continue;
    if (code == -NLE_AGAIN) return state_->is_changed;
    // libnl's word for ENOBUFS: the socket's buffer ran over.
    if (code != -NLE_NOMEM) check(code, "cannot read news of routing rules over netlink");
    state_->is_changed = true;
  }
}

}  // namespace culvert

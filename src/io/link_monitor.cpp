// Listening to the kernel's link notifications.
#include "culvert/io/link_monitor.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>

#include <array>
#include <utility>

#include "errors.hpp"
#include "nl.hpp"

namespace culvert {

namespace {

constexpr int buffer_bytes = 1 << 20;

int take_message(nl_msg* message, void* argument) {
  auto& events = *static_cast<std::vector<LinkEvent>*>(argument);
  nlmsghdr* const header = nlmsg_hdr(message);
  if (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) return NL_OK;
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (nlmsg_parse(header, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0) return NL_SKIP;
  const auto* const info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  // A bridge tells its own family's news in the same group: RTM_DELLINK there means "no longer a port".
  if (info->ifi_family != AF_UNSPEC) return NL_SKIP;
  const nlattr* const name = attributes[IFLA_IFNAME];
  const nlattr* const mtu = attributes[IFLA_MTU];
  // Wireless events come as RTM_NEWLINK without the link's state.
  if (name == nullptr || mtu == nullptr) return NL_SKIP;
  events.push_back({static_cast<std::uint32_t>(info->ifi_index), nla_get_string(name), nla_get_u32(mtu),
                    (info->ifi_flags & IFF_UP) != 0, header->nlmsg_type == RTM_DELLINK});
  return NL_OK;
}

[[noreturn]] void throw_nl_error(int code, const char* what) {
  throw_system_error(nl::to_errno(code), what);
}

}  // namespace

struct LinkMonitor::State {
  nl::Socket socket{nl_socket_alloc()};
  std::vector<LinkEvent> events;
};

LinkMonitor::LinkMonitor() : state_(std::make_unique<State>()) {
  constexpr const char* what = "cannot watch network interfaces over netlink";
  nl_sock* const socket = state_->socket.get();
  if (socket == nullptr) throw_system_error(ENOMEM, what);
  // Notifications answer no request and carry no sequence number of ours.
  nl_socket_disable_seq_check(socket);
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, take_message, &state_->events);
  if (const int error = nl::connect_to_route(socket)) throw_system_error(error, what);
  if (const int code = nl_socket_set_buffer_size(socket, buffer_bytes, 0); code < 0) throw_nl_error(code, what);
  if (const int code = nl_socket_add_membership(socket, RTNLGRP_LINK); code < 0) throw_nl_error(code, what);
  if (const int code = nl_socket_set_nonblocking(socket); code < 0) throw_nl_error(code, what);
}

LinkMonitor::~LinkMonitor() = default;
LinkMonitor::LinkMonitor(LinkMonitor&&) noexcept = default;
LinkMonitor& LinkMonitor::operator=(LinkMonitor&&) noexcept = default;

int LinkMonitor::fd() const noexcept {
  return nl_socket_get_fd(state_->socket.get());
}

std::vector<LinkEvent> LinkMonitor::take(bool& is_overrun) {
  is_overrun = false;
  for (;;) {
    const int code = nl_recvmsgs_default(state_->socket.get());
    if (code >= 0 || code == -NLE_INTR) continue;
    if (code == -NLE_AGAIN) break;
    // libnl's word for ENOBUFS: the socket's buffer ran over. The kernel says so once and then goes on.
    if (code != -NLE_NOMEM) throw_nl_error(code, "cannot read news of network interfaces over netlink");
    is_overrun = true;
  }
  return std::exchange(state_->events, {});
}

}  // namespace culvert

// Listening to the kernel's notifications of rules and routes.
#include "culvert/io/policy_monitor.hpp"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include "notice_socket.hpp"

namespace culvert {

namespace {

bool is_of_policy(nlmsghdr* notice) {
  if (notice->nlmsg_type == RTM_NEWRULE || notice->nlmsg_type == RTM_DELRULE) return true;
  if (notice->nlmsg_type != RTM_DELROUTE || nlmsg_datalen(notice) < int{sizeof(rtmsg)}) return false;
  return static_cast<const rtmsg*>(nlmsg_data(notice))->rtm_dst_len == 0;
}

}  // namespace

struct PolicyMonitor::State {
  NoticeSocket socket{{RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE},
                      "routing rules and default routes",
                      is_of_policy};
};

PolicyMonitor::PolicyMonitor() : state_(std::make_unique<State>()) {}
PolicyMonitor::~PolicyMonitor() = default;
PolicyMonitor::PolicyMonitor(PolicyMonitor&&) noexcept = default;
PolicyMonitor& PolicyMonitor::operator=(PolicyMonitor&&) noexcept = default;

int PolicyMonitor::fd() const noexcept {
  return state_->socket.fd();
}

bool PolicyMonitor::take() {
  return state_->socket.take();
}

}  // namespace culvert

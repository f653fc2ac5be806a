// Listening to the kernel's rule notifications.
#include "culvert/io/rule_monitor.hpp"

#include <linux/rtnetlink.h>

#include "notice_socket.hpp"

namespace culvert {

struct RuleMonitor::State {
  NoticeSocket socket{{RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE}, "routing rules"};
};

RuleMonitor::RuleMonitor() : state_(std::make_unique<State>()) {}
RuleMonitor::~RuleMonitor() = default;
RuleMonitor::RuleMonitor(RuleMonitor&&) noexcept = default;
RuleMonitor& RuleMonitor::operator=(RuleMonitor&&) noexcept = default;

int RuleMonitor::fd() const noexcept {
  return state_->socket.fd();
}

bool RuleMonitor::take() {
  return state_->socket.take();
}

}  // namespace culvert

// Listening to the kernel's notifications of all that decides over the way of a packet.
#include "culvert/io/route_monitor.hpp"

#include <linux/rtnetlink.h>

#include "notice_socket.hpp"

namespace culvert {

struct RouteMonitor::State {
  NoticeSocket socket{{RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                       RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE},
                      "routes"};
};

RouteMonitor::RouteMonitor() : state_(std::make_unique<State>()) {}
RouteMonitor::~RouteMonitor() = default;
RouteMonitor::RouteMonitor(RouteMonitor&&) noexcept = default;
RouteMonitor& RouteMonitor::operator=(RouteMonitor&&) noexcept = default;

int RouteMonitor::fd() const noexcept {
  return state_->socket.fd();
}

bool RouteMonitor::take() {
  return state_->socket.take();
}

}  // namespace culvert

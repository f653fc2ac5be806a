// What a Netlink consists of, shared by the files that implement it.
#pragma once

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <new>
#include <string>
#include <utility>

#include "culvert/io/netlink.hpp"
#include "errors.hpp"
#include "nl.hpp"

namespace culvert {

template <class Object>
Object require(Object object) {
  if (object == nullptr) throw std::bad_alloc();
  return object;
}

inline int address_family(Family family) noexcept {
  return family == Family::V4 ? AF_INET : AF_INET6;
}

inline std::string hint_for(int error) {
  switch (error) {
    case EPERM:
      return " (run as root or with CAP_NET_ADMIN)";
    case EEXIST:
      return " (it is there already)";
    case ENETDOWN:
      return " (the interface is down: bring it up first)";
    case ENOENT:
    case ESRCH:
    case EADDRNOTAVAIL:
      return " (there is none)";
    case ENODEV:
      return " (there is no such interface)";
    default:
      return "";
  }
}

struct Netlink::State {
  nl::Socket socket{nl_socket_alloc()};
  int kernel_error = 0;

  [[noreturn]] void fail(int code, const std::string& what) {
    const int error = kernel_error != 0 ? std::exchange(kernel_error, 0) : nl::to_errno(code);
    throw_system_error(error, what + hint_for(error));
  }

  // Throws unless `code` is a success; `what` is composed only then.
  template <class Describe>
  void check(int code, Describe what) {
    if (code >= 0) return;
    const int error = std::exchange(kernel_error, 0);
    const std::string text = what();
    kernel_error = error;
    fail(code, text);
  }

  nl::Link get_link(int index, const char* name) {
    rtnl_link* link = nullptr;
    const int code = rtnl_link_get_kernel(socket.get(), index, name, &link);
    if (code >= 0) return nl::Link(link);
    const bool is_absent = kernel_error == ENODEV || code == -NLE_OBJ_NOTFOUND || code == -NLE_NODEV;
    if (!is_absent) fail(code, "cannot ask the kernel about a network interface");
    kernel_error = 0;
    return nullptr;
  }

  std::string device(std::uint32_t index) {
    const nl::Link link = get_link(static_cast<int>(index), nullptr);
    const char* const name = link ? rtnl_link_get_name(link.get()) : nullptr;
    return name != nullptr ? std::string("interface ") + name : "interface number " + std::to_string(index);
  }

  template <class Change>
  void change_link(std::uint32_t index, Change change, const std::string& what) {
    const auto which = require(nl::Link(rtnl_link_alloc()));
    rtnl_link_set_ifindex(which.get(), static_cast<int>(index));
    const auto wanted = require(nl::Link(rtnl_link_alloc()));
    change(wanted.get());
    check(rtnl_link_change(socket.get(), which.get(), wanted.get(), 0), [&] { return what + " " + device(index); });
  }

  // What the kernel answers to a request for one object or, with NLM_F_DUMP, for all: visit(nlmsghdr*) for each.
  // Returns libnl's code.
  template <class Visit>
  int ask(nl_msg* message, Visit visit) {
    const nl::Callbacks original(nl_socket_get_cb(socket.get()));
    const nl::Callbacks callbacks = require(nl::Callbacks(nl_cb_clone(original.get())));
    const auto forward = [](nl_msg* answer, void* argument) -> int {
      (*static_cast<Visit*>(argument))(nlmsg_hdr(answer));
      return NL_OK;
    };
    nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, forward, &visit);
    const bool is_dump = (nlmsg_hdr(message)->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (const int code = nl_send_auto(socket.get(), message); code < 0) return code;
    if (const int code = nl_recvmsgs(socket.get(), callbacks.get()); code < 0) return code;
    return is_dump ? 0 : nl_wait_for_ack(socket.get());
  }

  // Tells the kernel to change something. Returns libnl's code.
  int tell(nl_msg* message) {
    if (const int code = nl_send_auto(socket.get(), message); code < 0) return code;
    return nl_wait_for_ack(socket.get());
  }
};

}  // namespace culvert

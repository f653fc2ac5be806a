// libnl objects with one owner, and libnl failures as errno values.
#pragma once

#include <linux/netlink.h>
#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include <cerrno>
#include <memory>

namespace culvert::nl {

template <auto release>
struct Deleter {
  template <class T>
  void operator()(T* object) const noexcept {
    release(object);
  }
};
template <class T, auto release>
using Owned = std::unique_ptr<T, Deleter<release>>;

using Socket = Owned<nl_sock, nl_socket_free>;
using Callbacks = Owned<nl_cb, nl_cb_put>;
using Message = Owned<nl_msg, nlmsg_free>;
using Cache = Owned<nl_cache, nl_cache_free>;
using AbstractAddress = Owned<nl_addr, nl_addr_put>;
using Link = Owned<rtnl_link, rtnl_link_put>;
using InterfaceAddress = Owned<rtnl_addr, rtnl_addr_put>;
using Route = Owned<rtnl_route, rtnl_route_put>;

/// The errno value nearest to a libnl code (negative, as libnl returns it).
inline int to_errno(int code) noexcept {
  switch (-code) {
    case NLE_NOMEM:
      return ENOMEM;
    case NLE_PERM:
      return EPERM;
    case NLE_NOACCESS:
      return EACCES;
    case NLE_EXIST:
      return EEXIST;
    case NLE_OBJ_NOTFOUND:
      return ENOENT;
    case NLE_NODEV:
      return ENODEV;
    case NLE_NOADDR:
      return EADDRNOTAVAIL;
    case NLE_AF_NOSUPPORT:
      return EAFNOSUPPORT;
    case NLE_OPNOTSUPP:
      return EOPNOTSUPP;
    case NLE_INVAL:
      return EINVAL;
    case NLE_BUSY:
      return EBUSY;
    case NLE_RANGE:
      return ERANGE;
    case NLE_AGAIN:
      return EAGAIN;
    case NLE_BAD_SOCK:
      return EBADF;
    default:
      return EIO;
  }
}

/// Connects to rtnetlink. Returns 0 or an errno value: that of socket(2) has no number with libnl.
inline int connect_to_route(nl_sock* socket) noexcept {
  errno = 0;
  const int code = nl_connect(socket, NETLINK_ROUTE);
  if (code >= 0) return 0;
  return code == -NLE_FAILURE && errno != 0 ? errno : to_errno(code);
}

}  // namespace culvert::nl

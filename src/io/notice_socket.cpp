// Listening to kernel notifications for no more than that they come.
#include "notice_socket.hpp"

#include <netlink/msg.h>

#include <string>

#include "errors.hpp"

namespace culvert {

NoticeSocket::NoticeSocket(std::initializer_list<int> groups, const char* subject, Filter is_relevant)
    : subject_(subject), is_relevant_(is_relevant) {
  constexpr const char* doing = "cannot watch ";
  nl_sock* const socket = socket_.get();
  if (socket == nullptr) check(-NLE_NOMEM, doing);
  nl_socket_disable_seq_check(socket);
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, take_message, this);
  if (const int error = nl::connect_to_route(socket))
    throw_system_error(error, doing + std::string(subject_) + " over netlink");
  for (const int group : groups) check(nl_socket_add_membership(socket, group), doing);
  check(nl_socket_set_nonblocking(socket), doing);
}

int NoticeSocket::fd() const noexcept {
  return nl_socket_get_fd(socket_.get());
}

bool NoticeSocket::take() {
  is_changed_ = false;
  for (;;) {
    const int code = nl_recvmsgs_default(socket_.get());
    if (code >= 0 || code == -NLE_INTR) continue;
    if (code == -NLE_AGAIN) return is_changed_;
    // libnl's word for ENOBUFS: the socket's buffer ran over.
    if (code != -NLE_NOMEM) check(code, "cannot read news of ");
    is_changed_ = true;
  }
}

int NoticeSocket::take_message(nl_msg* message, void* self) {
  auto& socket = *static_cast<NoticeSocket*>(self);
  if (!socket.is_relevant_ || socket.is_relevant_(nlmsg_hdr(message))) socket.is_changed_ = true;
  return NL_OK;
}

void NoticeSocket::check(int code, const char* doing) const {
  if (code < 0) throw_system_error(nl::to_errno(code), doing + std::string(subject_) + " over netlink");
}

}  // namespace culvert

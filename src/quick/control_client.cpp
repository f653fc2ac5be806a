// Asking a tunnel through its control socket.
#include "culvert/quick/control_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "culvert/io/unique_fd.hpp"
#include "culvert/runtime/control_socket.hpp"

namespace culvert {

WipedString ask_tunnel(const std::string& name, std::string_view request, std::chrono::seconds patience) {
  const std::string path = std::string(control_socket_folder) + "/" + name + ".sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("no tunnel has a name as long as " + name);
  std::ranges::copy(path, address.sun_path);
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{patience.count(), 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);  // for connect(), too
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    const char* advice = errno == EACCES ? " (try as root)" : " (is it running?)";
    throw std::system_error(errno, std::system_category(), "asking tunnel " + name + " at " + path + advice);
  }
  WipedString answer;
  WipedString chunk(65536, '\0');
  // The answer ends with the only empty line in it.
  while (!answer.ends_with("\n\n")) {
    const ssize_t size = ::recv(client.get(), chunk.data(), chunk.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) throw std::runtime_error("tunnel " + name + " did not answer in full");
    answer.append(chunk.data(), static_cast<std::size_t>(size));
  }
  answer.pop_back();
  return answer;
}

}  // namespace culvert

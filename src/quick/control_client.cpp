// Asking a tunnel through its control socket.
#include "culvert/quick/control_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "culvert/io/unique_fd.hpp"
#include "culvert/runtime/control_folders.hpp"

namespace culvert {

namespace {

UniqueFd connect_to(const std::string& path, const std::string& who, std::chrono::seconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("no tunnel has a name as long as " + who);
  std::ranges::copy(path, address.sun_path);
  UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{patience.count(), 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);  // for connect(), too
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return client;
  const int error = errno;
  client.reset();
  errno = error;
  return client;
}

bool send_all(const UniqueFd& client, std::string_view request) {
  return client.is_open() &&
         ::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
}

/// A stranger's program may send without end.
struct Limits {
  std::size_t size = std::numeric_limits<std::size_t>::max();
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

[[noreturn]] void complain(int error, const std::string& who, const std::string& path) {
  const char* advice = error == EACCES ? " (try as root)" : " (is it running?)";
  throw std::system_error(error, std::system_category(), "asking tunnel " + who + " at " + path + advice);
}

WipedString read_answer(const UniqueFd& client, const std::string& who, const Limits& limits) {
  WipedString answer;
  WipedString chunk(65536, '\0');
  // The answer ends with the only empty line in it.
  while (!answer.ends_with("\n\n")) {
    const ssize_t size = ::recv(client.get(), chunk.data(), chunk.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    const bool is_too_much = answer.size() > limits.size || std::chrono::steady_clock::now() > limits.until;
    if (size <= 0 || is_too_much) {
      throw std::runtime_error(
          "tunnel " + who +
          " did not answer in full (it ended, or it is not culvert's and does not know the question)");
    }
    answer.append(chunk.data(), static_cast<std::size_t>(size));
  }
  answer.pop_back();
  return answer;
}

}  // namespace

std::string control_socket_of(const std::string& name) {
  const std::vector<std::string> folders = trusted_control_folders();
  const auto path_in = [&](const std::string& folder) { return folder + "/" + name + ".sock"; };
  const auto found = std::ranges::find_if(
      folders, [&](const std::string& folder) { return ::access(path_in(folder).c_str(), F_OK) == 0; });
  return path_in(found == folders.end() ? folders.front() : *found);
}

WipedString ask_tunnel(const std::string& name, std::string_view request, std::chrono::seconds patience) {
  const std::string path = control_socket_of(name);
  const UniqueFd client = connect_to(path, name, patience);
  if (!send_all(client, request)) complain(errno, name, path);
  return read_answer(client, name, {});
}

std::optional<WipedString> ask_process(const std::string& path, pid_t server, std::string_view request,
                                       std::chrono::seconds patience) {
  const std::string who = "of process " + std::to_string(server);
  const UniqueFd client = connect_to(path, who, patience);
  if (!client.is_open()) complain(errno, who, path);
  ucred credentials{};
  socklen_t size = sizeof credentials;
  const bool is_told = ::getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
  if (!is_told || credentials.pid != server) return std::nullopt;
  if (!send_all(client, request)) complain(errno, who, path);
  constexpr std::size_t most = std::size_t{64} << 20;
  return read_answer(client, who, {most, std::chrono::steady_clock::now() + patience});
}

}  // namespace culvert

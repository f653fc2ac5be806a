// Watching the folder of named network namespaces by inotify(7).
#include "culvert/netns/namespace_monitor.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "culvert/io/record_folder.hpp"
#include "culvert/netns/named_namespaces.hpp"

namespace culvert {

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

}  // namespace

NamespaceMonitor::NamespaceMonitor() : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  const std::string parent = std::filesystem::path(named_namespaces_folder).parent_path();
  if (!inotify_.is_open()) fail("cannot watch network namespaces (is fs.inotify.max_user_instances reached?)");
  parent_watch_ = ::inotify_add_watch(inotify_.get(), parent.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
  if (parent_watch_ < 0) fail("cannot watch " + parent);
  watch_names();
  for (std::string& name : names_in(std::string(named_namespaces_folder))) known_.insert(std::move(name));
}

void NamespaceMonitor::watch_names() {
  const std::string folder(named_namespaces_folder);
  names_watch_ = ::inotify_add_watch(inotify_.get(), folder.c_str(),
                                     IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR);
  if (names_watch_ < 0 && errno != ENOENT) fail("cannot watch " + folder);
}

void NamespaceMonitor::add(const std::string& name, std::vector<NamespaceEvent>& events) {
  if (known_.insert(name).second) events.push_back({NamespaceEvent::Kind::Added, name});
}

void NamespaceMonitor::remove(const std::string& name, std::vector<NamespaceEvent>& events) {
  if (known_.erase(name) != 0) events.push_back({NamespaceEvent::Kind::Deleted, name});
}

void NamespaceMonitor::compare(std::vector<NamespaceEvent>& events) {
  std::set<std::string> present;
  for (std::string& name : names_in(std::string(named_namespaces_folder))) present.insert(std::move(name));
  const std::set<std::string> before = known_;
  for (const std::string& name : before) {
    if (!present.contains(name)) remove(name, events);
  }
  for (const std::string& name : present) add(name, events);
}

std::vector<NamespaceEvent> NamespaceMonitor::take() {
  std::vector<NamespaceEvent> events;
  alignas(inotify_event) std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return events;
    if (size <= 0) fail("cannot take news of network namespaces");
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      inotify_event event{};
      std::memcpy(&event, &buffer[at], sizeof event);
      const std::string name = event.len == 0 ? "" : &buffer[at + sizeof event];
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        compare(events);
      } else if (event.wd == parent_watch_) {
        if (name != std::filesystem::path(named_namespaces_folder).filename()) continue;
        watch_names();
        // Names may have been there before the watch.
        compare(events);
      } else if (event.wd == names_watch_ && (event.mask & IN_IGNORED) != 0) {
        names_watch_ = -1;
        compare(events);
      } else if (event.wd == names_watch_) {
        (event.mask & (IN_CREATE | IN_MOVED_TO)) != 0 ? add(name, events) : remove(name, events);
      }
    }
  }
}

}  // namespace culvert

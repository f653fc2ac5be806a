// Looking for network namespaces in /run/netns, among mounts, and among processes.
#include "culvert/netns/known_namespaces.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "culvert/base/fields.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/netns/named_namespaces.hpp"

namespace culvert {

namespace {

// "\040" and the like (seq_path in fs/seq_file.c).
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
    const bool is_escape =
        text[at] == '\\' && text.size() - at > 3 && std::ranges::all_of(text.substr(at + 1, 3), is_octal);
    if (!is_escape) {
      out += text[at];
      continue;
    }
    int value = 0;
    for (const char c : text.substr(at + 1, 3)) value = 8 * value + (c - '0');
    out += static_cast<char>(value);
    at += 3;
  }
  return out;
}

// Files that network namespaces are bound to (proc_pid_mountinfo(5)).
std::vector<Pin> pins_in(const std::string& file) {
  constexpr std::string_view start = "net:[";
  std::vector<Pin> pins;
  std::ifstream mounts(file);
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string number, parent, device, root, path;
    words >> number >> parent >> device >> root >> path;
    if (!root.starts_with(start) || !root.ends_with("]")) continue;
    const std::string_view inode = std::string_view(root).substr(start.size(), root.size() - start.size() - 1);
    if (const auto value = number_from<std::uint64_t>(inode)) pins.push_back({unescape(path), *value});
  }
  return pins;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> all;
  for (const std::string& name : names_in("/proc")) {
    if (const auto pid = pid_from(name)) all.push_back(*pid);
  }
  std::ranges::sort(all);
  return all;
}

class Collection {
 public:
  KnownNamespace& at(const NamespaceIdentity& identity) {
    const auto found = std::ranges::find(all_, identity, &KnownNamespace::identity);
    if (found != all_.end()) return *found;
    all_.push_back({identity, {}, {}, {}});
    return all_.back();
  }
  std::vector<KnownNamespace> take() { return std::move(all_); }

 private:
  std::vector<KnownNamespace> all_;
};

}  // namespace

std::optional<pid_t> pid_from(std::string_view text) {
  const auto number = number_from<pid_t>(text);
  return number && *number > 0 && text.front() != '0' ? number : std::nullopt;
}

std::optional<NamespaceIdentity> namespace_of(pid_t pid) {
  struct stat status {};
  if (::stat(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), &status) < 0) return std::nullopt;
  return NamespaceIdentity{status.st_dev, status.st_ino};
}

std::vector<pid_t> processes_in(const NamespaceIdentity& identity) {
  std::vector<pid_t> all = all_processes();
  std::erase_if(all, [&](pid_t pid) { return namespace_of(pid) != identity; });
  return all;
}

std::vector<Pin> pins_seen_by(pid_t pid) {
  return pins_in("/proc/" + std::to_string(pid) + "/mountinfo");
}

std::string KnownNamespace::specification() const {
  if (!names.empty()) return names.front();
  if (!pins.empty()) return pins.front();
  return processes.empty() ? std::string() : "pid:" + std::to_string(processes.front());
}

std::vector<KnownNamespace> known_namespaces() {
  Collection all;
  for (NamedNamespace& named : named_namespaces()) {
    if (named.identity) all.at(*named.identity).names.push_back(std::move(named.name));
  }
  const std::string names_folder = std::string(named_namespaces_folder) + "/";
  for (auto& [path, inode] : pins_in("/proc/thread-self/mountinfo")) {
    const auto identity = path.starts_with(names_folder) ? std::nullopt : identity_at(path);
    if (identity) all.at(*identity).pins.push_back(std::move(path));
  }
  for (const pid_t pid : all_processes()) {
    if (const auto identity = namespace_of(pid)) all.at(*identity).processes.push_back(pid);
  }
  return all.take();
}

}  // namespace culvert

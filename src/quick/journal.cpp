// Journals as files.
#include "culvert/quick/journal.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "culvert/base/printable.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/runtime/log.hpp"
#include "fields.hpp"

namespace culvert {

namespace {

constexpr std::string_view first_line = "culvert journal 1";
constexpr std::string_view ending_of_journals = ".journal";
constexpr std::size_t size_max = std::size_t{1} << 20;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

std::optional<std::string> read_all(const UniqueFd& file, std::size_t most) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::nullopt;
    if (size == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
    if (text.size() > most) return std::nullopt;
  }
}

template <class Visit>
void for_each_name_in(const std::string& folder, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open_folder(::opendir(folder.c_str()), ::closedir);
  if (!open_folder) return;
  while (const dirent* entry = ::readdir(open_folder.get())) visit(std::string(entry->d_name));
}

/// What /proc says of a process or thread.
struct TaskStatus {
  bool is_dead = false;
  std::uint64_t start_time = 0;  ///< in clock ticks since boot
};

std::optional<TaskStatus> status_in(const std::string& folder) {
  const UniqueFd file(::open((folder + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return std::nullopt;
  const auto text = read_all(file, 65536);
  // Field 2 is the name in brackets, which may contain anything; 3 is the state, 22 the start time.
  const std::size_t bracket = text ? text->rfind(')') : std::string::npos;
  if (bracket == std::string::npos) return std::nullopt;
  std::vector<std::string_view> fields;
  for (std::string_view rest = std::string_view(*text).substr(bracket + 1); !rest.empty();) {
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    const std::string_view field = rest.substr(0, rest.find(' '));
    rest.remove_prefix(field.size());
    fields.push_back(field);
  }
  if (fields.size() < 20) return std::nullopt;
  const auto start = number_from<std::uint64_t>(fields[19]);
  if (!start) return std::nullopt;
  // A zombie does nothing any more, whether its parent has noticed or not.
  return TaskStatus{fields[0] == "Z" || fields[0] == "X", *start};
}

/// A process whose first thread is dead lives on, and keeps its device, until the last is.
bool has_living_thread(const std::string& process) {
  bool found = false;
  for_each_name_in(process + "/task", [&](const std::string& thread) {
    if (found || thread == "." || thread == "..") return;
    const auto status = status_in(process + "/task/" + thread);
    found = status && !status->is_dead;
  });
  return found;
}

std::optional<NetworkNamespace> if_it_is(const NamespaceIdentity& identity, const std::string& specification) {
  try {
    NetworkNamespace found =
        specification.empty() ? NetworkNamespace::current() : NetworkNamespace::open(specification);
    if (found.identity() == identity) return found;
  } catch (const std::exception&) {
    // Gone, or not to be looked at: not the one that is looked for.
  }
  return std::nullopt;
}

bool read_line(JournalEntries& entries, const std::vector<std::string>& fields, std::string_view line) {
  const std::string& kind = fields.front();
  if (kind == "owner" && fields.size() == 3) {
    const auto pid = number_from<pid_t>(fields[1]);
    const auto start = number_from<std::uint64_t>(fields[2]);
    if (!pid || *pid <= 0 || !start) return false;
    entries.owner = {*pid, *start};
    return true;
  }
  if (kind == "namespace" && fields.size() == 4) {
    const auto device = number_from<std::uint64_t>(fields[1]);
    const auto inode = number_from<std::uint64_t>(fields[2]);
    if (!device || !inode) return false;
    entries.where = {*device, *inode};
    entries.where_name = fields[3];
    return true;
  }
  if (kind == "table" && fields.size() == 2) {
    const auto table = number_from<std::uint32_t>(fields[1]);
    if (table) entries.table = *table;
    return table.has_value();
  }
  if (kind == "failed" && fields.size() == 2) {
    entries.failures.push_back(fields[1]);
    return true;
  }
  auto undo = undo_from_line(line);
  if (undo) entries.undos.push_back(std::move(*undo));
  return undo.has_value();
}

}  // namespace

ProcessIdentity ProcessIdentity::self() {
  const auto found = of(::getpid());
  if (!found) throw std::runtime_error("/proc does not show this process: is it mounted?");
  return *found;
}

std::optional<ProcessIdentity> ProcessIdentity::of(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const auto process = status_in(folder);
  if (!process || (process->is_dead && !has_living_thread(folder))) return std::nullopt;
  return ProcessIdentity{pid, process->start_time};
}

void ProcessIdentity::await_end_if_dying() const {
  constexpr auto pause = std::chrono::milliseconds(10);
  for (auto patience = std::chrono::milliseconds(2000); patience > pause && is_alive(); patience -= pause) {
    const auto leader = status_in("/proc/" + std::to_string(pid));
    if (!leader || !leader->is_dead) return;
    std::this_thread::sleep_for(pause);
  }
}

std::string to_text(const JournalEntries& entries) {
  std::string text(first_line);
  const auto line = [&text](const std::string& content) { text += "\n" + content; };
  line(join_fields({"owner", std::to_string(entries.owner.pid), std::to_string(entries.owner.start_time)}));
  line(join_fields(
      {"namespace", std::to_string(entries.where.device), std::to_string(entries.where.inode), entries.where_name}));
  if (entries.table != 0) line(join_fields({"table", std::to_string(entries.table)}));
  for (const Undo& undo : entries.undos) line(to_line(undo));
  for (const std::string& failure : entries.failures) line(join_fields({"failed", failure}));
  return text + "\n";
}

std::optional<JournalEntries> journal_from_text(std::string_view name, std::string_view text) {
  JournalEntries entries;
  entries.name = name;
  bool is_first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (std::exchange(is_first, false)) {
      if (line != first_line) return std::nullopt;
      continue;
    }
    const auto fields = split_fields(line);
    if (!fields || !read_line(entries, *fields, line)) return std::nullopt;
  }
  if (entries.owner.pid == 0 || entries.where == NamespaceIdentity{}) return std::nullopt;
  return entries;
}

JournalFolder::JournalFolder(std::string path) : path_(std::move(path)) {
  if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) fail("making folder " + path_ + " (run as root)");
  struct stat status {};
  if (::lstat(path_.c_str(), &status) != 0) fail("looking at " + path_);
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    throw std::runtime_error(path_ + " must be a folder of this user that no other can write to");
  }
}

std::string JournalFolder::path_of(const std::string& name, std::string_view ending) const {
  return path_ + "/" + name + std::string(ending);
}

UniqueFd JournalFolder::lock() const {
  // No name of a device begins like this one ends, so that it cannot be taken for one.
  const std::string path = path_ + "/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) fail("opening " + path);
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) fail("locking " + path);
  }
  return file;
}

std::optional<JournalEntries> JournalFolder::read(const std::string& name) const {
  const std::string path = path_of(name);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    fail("reading " + path);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail("looking at " + path);
  // What it says is done as this user, hooks included.
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    throw std::runtime_error(path + " may have been written by others and is not read; remove it by hand");
  }
  const auto text = read_all(file, size_max);
  auto entries = text ? journal_from_text(name, *text) : std::nullopt;
  if (!entries) throw std::runtime_error(path + " is not a journal that this version understands; remove it by hand");
  return entries;
}

std::vector<JournalEntries> JournalFolder::others(const std::string& name) const {
  std::vector<JournalEntries> all;
  for_each_name_in(path_, [&](const std::string& file) {
    if (!file.ends_with(ending_of_journals)) return;
    const std::string other = file.substr(0, file.size() - ending_of_journals.size());
    if (other == name || !is_interface_name(other)) return;
    try {
      if (auto entries = read(other)) all.push_back(std::move(*entries));
    } catch (const std::exception& error) {
      spdlog::warn("{}", error.what());
    }
  });
  return all;
}

void JournalFolder::write(const JournalEntries& entries) const {
  const std::string path = path_of(entries.name);
  const std::string fresh = path_of(entries.name, ".new");
  const std::string text = to_text(entries);
  ::unlink(fresh.c_str());
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    fail("writing " + path);
  }
}

void JournalFolder::remove(const std::string& name) const {
  const std::string path = path_of(name);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("removing " + path);
}

std::optional<NetworkNamespace> find_namespace(const NamespaceIdentity& identity, const std::string& name) {
  if (auto found = if_it_is(identity, "")) return found;
  if (auto found = name.empty() ? std::nullopt : if_it_is(identity, name)) return found;
  std::optional<NetworkNamespace> found;
  for_each_name_in("/run/netns", [&](const std::string& file) {
    if (!found && file != "." && file != "..") found = if_it_is(identity, file);
  });
  for_each_name_in("/proc", [&](const std::string& file) {
    if (!found && number_from<pid_t>(file).value_or(0) > 0) found = if_it_is(identity, "pid:" + file);
  });
  return found;
}

bool is_needed_by_others(const Undo& undo, const NamespaceIdentity& where, const std::vector<JournalEntries>& others) {
  if (!std::holds_alternative<RestoreSourceValidMark>(undo)) return false;
  return std::ranges::any_of(others, [&](const JournalEntries& other) {
    return other.where == where && std::ranges::find(other.undos, undo) != other.undos.end();
  });
}

bool undo_leftovers(const JournalFolder& folder, const JournalEntries& left, const DnsPrograms& dns) {
  const auto where = find_namespace(left.where, left.where_name);
  ProgramRunner programs(left.name);
  bool is_all_undone = true;
  for (std::size_t at = left.undos.size(); at-- > 0;) {
    const Undo& undo = left.undos[at];
    const bool is_of_network = std::holds_alternative<RemoveRule>(undo) ||
                               std::holds_alternative<RemoveFirewall>(undo) ||
                               std::holds_alternative<RestoreSourceValidMark>(undo);
    // With a namespace went everything in it.
    if (is_of_network && (!where || is_needed_by_others(undo, left.where, folder.others(left.name)))) continue;
    try {
      std::optional<ScopedNamespace> inside;
      if (where) inside.emplace(*where);
      perform(undo, programs, dns);
    } catch (const std::exception& error) {
      spdlog::warn("{}: {}", left.name, error.what());
      is_all_undone = false;
    }
  }
  folder.remove(left.name);
  return is_all_undone;
}

}  // namespace culvert

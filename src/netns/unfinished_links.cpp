// Files about links that are being made.
#include "culvert/netns/unfinished_links.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "culvert/io/claimed_file.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/io/record_text.hpp"

namespace culvert {

namespace {

constexpr std::string_view first_line = "culvert unfinished link 1";

std::uint32_t random_group() {
  std::uint32_t group = 0;
  if (::getrandom(&group, sizeof group, 0) != sizeof group) return 0;
  // People's own groups have small numbers, and some programs take the number for a signed one.
  return (group | 0x40000000U) & 0x7fffffffU;
}

struct Record {
  NamespaceIdentity where;
  std::uint32_t group = 0;
  std::vector<std::string> to_take_down;
};

std::string to_text(const Record& record) {
  std::string text(first_line);
  const auto line = [&text](const Fields& fields) { text.append("\n").append(join_fields(fields)); };
  line({"namespace", std::to_string(record.where.device), std::to_string(record.where.inode)});
  line({"group", std::to_string(record.group)});
  for (const std::string& name : record.to_take_down) line({"down", name});
  return text + "\n";
}

std::optional<Record> record_from(std::string_view text) {
  Record record;
  const auto take = [&](const Fields& fields, std::string_view) {
    const std::string& kind = fields.front();
    if (kind == "namespace" && fields.size() == 3) {
      record.where.device = number_from<std::uint64_t>(fields[1]).value_or(0);
      record.where.inode = number_from<std::uint64_t>(fields[2]).value_or(0);
    } else if (kind == "group" && fields.size() == 2) {
      record.group = number_from<std::uint32_t>(fields[1]).value_or(0);
    } else if (kind == "down" && fields.size() == 2) {
      record.to_take_down.push_back(fields[1]);
    } else {
      return false;
    }
    return true;
  };
  if (!read_record(text, first_line, take) || record.group == 0) return std::nullopt;
  return record;
}

/// False while it cannot be told, because the namespace is not to be seen from here: it may be gone, or belong to
/// others, in whose folders it has a name.
bool undo(const Record& record) {
  const auto space = find_namespace(record.where, "");
  if (!space) return false;
  const ScopedNamespace inside(*space);
  Netlink netlink;
  const std::vector<InterfaceFacts> all = netlink.interfaces();
  const auto made = std::ranges::find(all, record.group, &InterfaceFacts::group);
  if (made == all.end()) return true;
  for (const InterfaceFacts& link : all) {
    const bool is_meant = std::ranges::find(record.to_take_down, link.name.name) != record.to_take_down.end();
    if (is_meant && link.master == made->name.index) netlink.set_up(link.name.index, false);
  }
  netlink.remove_link(made->name.index);
  return true;
}

void remove_if_deserted(const RecordFolder& records, const std::string& name) noexcept {
  try {
    const auto file = take_deserted_file(records.path_of(name));
    if (!file) return;
    const auto record = record_from(file->text);
    if (!record || undo(*record)) records.remove(name);
  } catch (const std::exception&) {
    // The next one tries again; others' records do not wait for that.
  }
}

}  // namespace

UnfinishedLink::UnfinishedLink(const NetworkNamespace& space, const std::vector<std::string>& to_take_down) noexcept {
  try {
    const std::string folder(unfinished_links_folder);
    const RecordFolder above(folder.substr(0, folder.rfind('/')));
    const RecordFolder records(folder);
    const Record record{space.identity(), random_group(), to_take_down};
    path_ = records.path_of(std::to_string(record.group));
    auto file = make_claimed_file(path_, to_text(record), 0600);
    if (!file) return;
    file_ = *std::move(file);
    group_ = record.group;
  } catch (const std::exception&) {
    // Somebody who is not root has no place for it.
  }
}

UnfinishedLink::~UnfinishedLink() {
  if (file_.is_open()) ::unlink(path_.c_str());
}

void UnfinishedLink::finish(Netlink& netlink, std::uint32_t index) const {
  if (group_ != 0) netlink.set_group(index, 0);
}

void remove_unfinished_links() noexcept {
  try {
    const std::string folder(unfinished_links_folder);
    if (::access(folder.c_str(), W_OK) != 0) return;
    const RecordFolder records(folder);
    for (const std::string& name : records.names()) remove_if_deserted(records, name);
  } catch (const std::exception&) {
    // There is no such folder that could be trusted.
  }
}

}  // namespace culvert

// Journals as files.
#include "culvert/quick/journal.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "culvert/base/printable.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/io/record_text.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {

namespace {

constexpr std::string_view first_line = "culvert journal 1";

bool read_line(JournalEntries& entries, const Fields& fields, std::string_view line) {
  const std::string& kind = fields.front();
  if (kind == "owner") {
    const auto owner = process_from(fields);
    if (owner) entries.owner = *owner;
    return owner.has_value();
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

std::string to_text(const JournalEntries& entries) {
  std::string text(first_line);
  const auto line = [&text](const std::string& content) { text += "\n" + content; };
  line(join_fields(process_line("owner", entries.owner)));
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
  const auto take = [&](const Fields& fields, std::string_view line) { return read_line(entries, fields, line); };
  if (!read_record(text, first_line, take)) return std::nullopt;
  if (entries.owner.pid == 0 || entries.where == NamespaceIdentity{}) return std::nullopt;
  return entries;
}

std::optional<JournalEntries> JournalFolder::read(const std::string& name) const {
  const auto text = records_.read(name);
  if (!text) return std::nullopt;
  auto entries = journal_from_text(name, *text);
  if (!entries) {
    throw std::runtime_error(path_of(name) + " is not a journal that this version understands; remove it by hand");
  }
  return entries;
}

std::vector<JournalEntries> JournalFolder::others(const std::string& name) const {
  std::vector<JournalEntries> all;
  for (const std::string& other : records_.names()) {
    if (other == name || !is_interface_name(other)) continue;
    try {
      if (auto entries = read(other)) all.push_back(std::move(*entries));
    } catch (const std::exception& error) {
      spdlog::warn("{}", error.what());
    }
  }
  return all;
}

void JournalFolder::write(const JournalEntries& entries) const {
  records_.write(entries.name, to_text(entries));
}

bool is_needed_by_others(const Undo& undo, const NamespaceIdentity& where, const std::vector<JournalEntries>& others) {
  const bool is_namespace = std::holds_alternative<RemoveNamespace>(undo);
  if (!is_namespace && !std::holds_alternative<RestoreSourceValidMark>(undo)) return false;
  return std::ranges::any_of(others, [&](const JournalEntries& other) {
    // A namespace of devices may be one of sockets for others.
    return (is_namespace || other.where == where) && std::ranges::find(other.undos, undo) != other.undos.end();
  });
}

bool undo_leftovers(const JournalFolder& folder, const JournalEntries& left, const DnsPrograms& dns) {
  const auto where = find_namespace(left.where, left.where_name);
  ProgramRunner programs(left.name);
  bool is_all_undone = true;
  for (std::size_t at = left.undos.size(); at-- > 0;) {
    const Undo& undo = left.undos[at];
    const bool is_of_network =
        std::holds_alternative<RemoveRule>(undo) || std::holds_alternative<RemoveFirewall>(undo) ||
        std::holds_alternative<RestoreSourceValidMark>(undo) || std::holds_alternative<RemoveBridge>(undo) ||
        std::holds_alternative<ReleaseBridgePort>(undo);
    // With a namespace went everything in it.
    if (is_of_network && (!where || is_needed_by_others(undo, left.where, folder.others(left.name)))) continue;
    try {
      std::optional<UniqueFd> lock;
      if (std::holds_alternative<RemoveNamespace>(undo)) {
        lock = folder.lock();
        if (is_needed_by_others(undo, left.where, folder.others(left.name))) continue;
      }
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

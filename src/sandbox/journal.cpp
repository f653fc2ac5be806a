// Journals of sandboxes as text and as files.
#include "culvert/sandbox/journal.hpp"

#include <net/if.h>
#include <sys/stat.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "culvert/io/record_text.hpp"
#include "culvert/sandbox/forwarding.hpp"

namespace culvert {

namespace {

constexpr std::string_view first_line = "culvert sandbox journal 1";

bool could_be_link(const std::string& name) {
  return !name.empty() && name.size() < IFNAMSIZ && name.find('/') == std::string::npos;
}

bool read_line(SandboxJournal& journal, const Fields& fields) {
  const std::string& kind = fields.front();
  if (kind == "owner") {
    const auto owner = process_from(fields);
    if (owner) journal.owner = *owner;
    return owner.has_value();
  }
  if (kind == "processes" && fields.size() == 2) {
    const auto space = number_from<std::uint64_t>(fields[1]);
    journal.process_space = space.value_or(0);
    return journal.process_space != 0;
  }
  if (kind == "namespace" && fields.size() == 3) {
    const auto device = number_from<std::uint64_t>(fields[1]);
    const auto inode = number_from<std::uint64_t>(fields[2]);
    if (device && inode) journal.where = {*device, *inode};
    return device && inode;
  }
  if (kind == "link" && fields.size() == 3) {
    const auto index = number_from<std::uint32_t>(fields[1]);
    if (index) journal.link = {*index, fields[2]};
    return index && *index != 0 && could_be_link(fields[2]);
  }
  if (kind == "setting" && fields.size() == 3) {
    journal.settings.push_back({fields[1], fields[2]});
    return is_forwarding_setting(fields[1]) && (fields[2] == "0" || fields[2] == "1");
  }
  if (kind == "bridge" && fields.size() == 3) {
    const auto mac = number_from<std::uint64_t>(fields[2]);
    if (mac) journal.bridge = {fields[1], MacAddress(*mac)};
    return mac && could_be_link(fields[1]);
  }
  return false;
}

std::string name_of(const SandboxJournal& journal) {
  return std::to_string(journal.process_space) + "-" + std::to_string(journal.owner.pid) + "-" +
         std::to_string(journal.owner.start_time);
}

}  // namespace

std::string to_text(const SandboxJournal& journal) {
  std::string text(first_line);
  const auto line = [&text](const Fields& fields) { text.append("\n").append(join_fields(fields)); };
  line(process_line("owner", journal.owner));
  line({"processes", std::to_string(journal.process_space)});
  line({"namespace", std::to_string(journal.where.device), std::to_string(journal.where.inode)});
  line({"link", std::to_string(journal.link.index), journal.link.name});
  for (const KernelSetting& setting : journal.settings) line({"setting", setting.name, setting.value});
  if (journal.bridge) line({"bridge", journal.bridge->name, std::to_string(journal.bridge->mac.value())});
  return text + "\n";
}

std::optional<SandboxJournal> sandbox_journal_from_text(std::string_view text) {
  SandboxJournal journal;
  const auto take = [&](const Fields& fields, std::string_view) { return read_line(journal, fields); };
  if (!read_record(text, first_line, take)) return std::nullopt;
  const bool is_whole = journal.owner.pid != 0 && journal.process_space != 0 && journal.where != NamespaceIdentity{} &&
                        journal.link.index != 0;
  if (!is_whole) return std::nullopt;
  return journal;
}

std::uint64_t own_process_space() {
  struct stat status {};
  if (::stat("/proc/self/ns/pid", &status) != 0) {
    throw std::system_error(errno, std::system_category(), "looking at /proc/self/ns/pid");
  }
  return status.st_ino;
}

SandboxJournals::SandboxJournals(const std::string& path)
    : records_((RecordFolder(path.substr(0, path.rfind('/'))), path)) {}

std::vector<SandboxJournal> SandboxJournals::others(const SandboxJournal& own, const SaySandbox& say) const {
  std::vector<SandboxJournal> all;
  for (const std::string& name : records_.names()) {
    if (name == name_of(own)) continue;
    try {
      const auto text = records_.read(name);
      if (!text) continue;
      auto journal = sandbox_journal_from_text(*text);
      if (!journal || name_of(*journal) != name) {
        throw std::runtime_error(records_.path_of(name) +
                                 " is not a journal that this version understands; remove it by hand");
      }
      all.push_back(*std::move(journal));
    } catch (const std::exception& error) {
      if (say) say(error.what());
    }
  }
  return all;
}

void SandboxJournals::write(const SandboxJournal& journal) const {
  records_.write(name_of(journal), to_text(journal));
}

void SandboxJournals::remove(const SandboxJournal& journal) const {
  records_.remove(name_of(journal));
}

}  // namespace culvert

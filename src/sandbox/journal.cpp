// Journals of sandboxes as text and as files.
#include "culvert/sandbox/journal.hpp"

#include <net/if.h>

#include <stdexcept>

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

std::string name_of(const ProcessIdentity& owner) {
  return std::to_string(owner.pid) + "-" + std::to_string(owner.start_time);
}

}  // namespace

std::string to_text(const SandboxJournal& journal) {
  std::string text(first_line);
  const auto line = [&text](const Fields& fields) { text.append("\n").append(join_fields(fields)); };
  line(process_line("owner", journal.owner));
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
  if (journal.owner.pid == 0 || journal.where == NamespaceIdentity{} || journal.link.index == 0) return std::nullopt;
  return journal;
}

SandboxJournals::SandboxJournals(const std::string& path)
    : records_((RecordFolder(path.substr(0, path.rfind('/'))), path)) {}

std::vector<SandboxJournal> SandboxJournals::others(const ProcessIdentity& owner, const SaySandbox& say) const {
  std::vector<SandboxJournal> all;
  for (const std::string& name : records_.names()) {
    if (name == name_of(owner)) continue;
    try {
      const auto text = records_.read(name);
      if (!text) continue;
      auto journal = sandbox_journal_from_text(*text);
      if (!journal || name_of(journal->owner) != name) {
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
  records_.write(name_of(journal.owner), to_text(journal));
}

void SandboxJournals::remove(const ProcessIdentity& owner) const {
  records_.remove(name_of(owner));
}

}  // namespace culvert

// Journals of NICs as text.
#include "culvert/bridge/journal.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "culvert/io/record_text.hpp"

namespace culvert {

namespace {

constexpr std::string_view first_line = "culvert bridge journal 1";
constexpr std::array<std::string_view, 3> state_words{"applying", "applied", "confirmed"};

std::string number(std::integral auto value) {
  return std::to_string(value);
}

bool read_link(LinkName& link, const Fields& fields) {
  const auto index = number_from<std::uint32_t>(fields[1]);
  if (!index || fields[2].empty()) return false;
  link = {*index, fields[2]};
  return true;
}

std::optional<Timestamp> time_from(const std::string& text) {
  const auto nanoseconds = number_from<std::int64_t>(text);
  if (!nanoseconds) return std::nullopt;
  return Timestamp(std::chrono::nanoseconds(*nanoseconds));
}

bool read_bridge(BridgeJournal& journal, const Fields& fields) {
  const auto mac = number_from<std::uint64_t>(fields[3]);
  const bool is_own = fields[4] == "own";
  if (!mac || (!is_own && fields[4] != "found") || !read_link(journal.bridge, fields)) return false;
  journal.bridge_mac = MacAddress(*mac);
  journal.is_own_bridge = is_own;
  return true;
}

bool read_before(NicSnapshot& before, const Fields& fields) {
  const auto taken = time_from(fields[1]);
  const auto mtu = number_from<std::uint32_t>(fields[2]);
  const auto mac = number_from<std::uint64_t>(fields[3]);
  const bool is_up = fields[4] == "up";
  if (!taken || !mtu || !mac || (!is_up && fields[4] != "down")) return false;
  before.taken = *taken;
  before.mtu = *mtu;
  before.mac = MacAddress(*mac);
  before.is_up = is_up;
  return true;
}

bool read_line(BridgeJournal& journal, const Fields& fields, std::string_view line) {
  const std::string& kind = fields.front();
  if (kind == "state" && fields.size() == 2) {
    const auto found = std::ranges::find(state_words, fields[1]);
    if (found == state_words.end()) return false;
    journal.state = static_cast<BridgeJournal::State>(found - state_words.begin());
    return true;
  }
  if (kind == "nic" && fields.size() == 3) return read_link(journal.nic, fields);
  if (kind == "bridge" && fields.size() == 5) return read_bridge(journal, fields);
  if (kind == "tap" && fields.size() == 3) return read_link(journal.taps.emplace_back(), fields);
  if (kind == "namespace" && fields.size() == 3) {
    const auto device = number_from<std::uint64_t>(fields[1]);
    const auto inode = number_from<std::uint64_t>(fields[2]);
    if (!device || !inode) return false;
    journal.where = {*device, *inode};
    return true;
  }
  if (kind == "applier") {
    const auto process = process_from(fields);
    if (process) journal.applier = *process;
    return process.has_value();
  }
  if (kind == "guardian") return (journal.guardian = process_from(fields)).has_value();
  if (kind == "deadline" && fields.size() == 2) return (journal.deadline = time_from(fields[1])).has_value();
  if (kind == "before" && fields.size() == 5) return read_before(journal.before, fields);
  if (kind == "setting" && fields.size() == 3) {
    journal.before.settings.push_back({fields[1], fields[2]});
    return fields[1].starts_with("net/");
  }
  auto object = network_object_from_line(line);
  if (object) journal.before.objects.push_back(std::move(*object));
  return object.has_value();
}

std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

}  // namespace

bool BridgeJournal::is_watched() const {
  if (state == State::Confirmed) return true;
  return (guardian && guardian->is_alive()) || (state == State::Applying && applier.is_alive());
}

std::string_view word_for(BridgeJournal::State state) noexcept {
  return state_words[static_cast<std::size_t>(state)];
}

std::string to_text(const BridgeJournal& journal) {
  std::string text(first_line);
  const auto line = [&text](const Fields& fields) { text.append("\n").append(join_fields(fields)); };
  const auto time = [](Timestamp when) { return number(when.time_since_epoch().count()); };
  line({"state", std::string(word_for(journal.state))});
  line({"nic", number(journal.nic.index), journal.nic.name});
  line({"bridge", number(journal.bridge.index), journal.bridge.name, number(journal.bridge_mac.value()),
        journal.is_own_bridge ? "own" : "found"});
  for (const LinkName& tap : journal.taps) line({"tap", number(tap.index), tap.name});
  line({"namespace", number(journal.where.device), number(journal.where.inode)});
  line(process_line("applier", journal.applier));
  if (journal.guardian) line(process_line("guardian", *journal.guardian));
  if (journal.deadline) line({"deadline", time(*journal.deadline)});
  const NicSnapshot& before = journal.before;
  line({"before", time(before.taken), number(before.mtu), number(before.mac.value()), before.is_up ? "up" : "down"});
  for (const KernelSetting& setting : before.settings) line({"setting", setting.name, setting.value});
  for (const NetworkObject& object : before.objects) text.append("\n").append(to_line(object));
  return text + "\n";
}

std::optional<BridgeJournal> bridge_journal_from_text(std::string_view text) {
  BridgeJournal journal;
  const auto take = [&](const Fields& fields, std::string_view line) { return read_line(journal, fields, line); };
  if (!read_record(text, first_line, take)) return std::nullopt;
  const bool is_whole = journal.nic.index != 0 && !journal.bridge.name.empty() && journal.applier.pid != 0 &&
                        journal.where != NamespaceIdentity{} && journal.before.mtu != 0;
  if (!is_whole) return std::nullopt;
  return journal;
}

BridgeJournals::BridgeJournals(const std::string& path) : records_((RecordFolder(parent_of(path)), path)) {}

std::optional<BridgeJournal> BridgeJournals::read(const std::string& nic) const {
  const auto text = records_.read(nic);
  if (!text) return std::nullopt;
  auto journal = bridge_journal_from_text(*text);
  if (!journal || journal->nic.name != nic) {
    throw std::runtime_error(records_.path_of(nic) +
                             " is not a journal that this version understands; remove it by hand");
  }
  return journal;
}

}  // namespace culvert

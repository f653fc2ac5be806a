// Attaching, confirming, detaching and restoring, each as a whole.
#include "culvert/bridge/bridging.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <optional>

#include "culvert/bridge/guardian.hpp"
#include "culvert/io/clock.hpp"

namespace culvert {

namespace {

using State = BridgeJournal::State;

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

void say(const BridgingOptions& options, const std::string& text) {
  if (options.say) options.say(text);
}

bool may_change_networks() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
  return (sets[0].effective & (1U << CAP_NET_ADMIN)) != 0;
}

/// With the lock held. What cannot be taken back keeps its journal.
void take_back_and_forget(const BridgeJournal& journal, const BridgeJournals& folder, const BridgeStep& before_step) {
  // With a namespace went everything in it.
  if (const auto where = find_namespace(journal.where, "")) {
    const ScopedNamespace inside(*where);
    const std::vector<std::string> problems = take_back(journal, before_step);
    if (!problems.empty()) {
      throw NotTakenBack(journal.nic.name + " could not be taken back from " + journal.bridge.name + ": " +
                         joined(problems) + "; try culvert bridge detach --nic " + journal.nic.name);
    }
  }
  folder.remove(journal.nic.name);
}

BridgeFacts look_at(const BridgeWish& wish, const BridgingOptions& options) {
  Netlink netlink;
  BridgeFacts facts;
  facts.links = netlink.link_details();
  if (const LinkDetails* const nic = facts.link(wish.nic)) {
    facts.objects = netlink.objects_at(nic->name);
    facts.surroundings = look_around(nic->name, wish.bridge, options.files);
  }
  return facts;
}

bool is_port_of(const BridgeFacts& facts, const std::string& port, const std::string& bridge) {
  const LinkDetails* const link = facts.link(port);
  const LinkDetails* const master = link != nullptr && link->master != 0 ? facts.link(link->master) : nullptr;
  return master != nullptr && master->name.name == bridge;
}

/// What is known of an earlier attachment; whatever is left of one that nobody will complete is taken back first.
bool is_attached(const BridgeWish& wish, const BridgeJournals& folder) {
  const auto journal = folder.read(wish.nic);
  if (!journal) return false;
  if (journal->where != NetworkNamespace::current().identity() && find_namespace(journal->where, "")) {
    throw BridgeRefused("a NIC of this name is attached in another network namespace");
  }
  Netlink netlink;
  BridgeFacts facts;
  facts.links = netlink.link_details();
  const bool is_in_force = journal->is_watched() && is_port_of(facts, wish.nic, journal->bridge.name);
  if (is_in_force && journal->state != State::Applying && journal->bridge.name == wish.bridge) return true;
  if (journal->is_watched() && journal->state == State::Applying) {
    throw BridgeRefused("process " + std::to_string(journal->applier.pid) + " is attaching " + wish.nic);
  }
  if (is_in_force) {
    throw BridgeRefused(wish.nic + " is attached to " + journal->bridge.name + ": culvert bridge detach --nic " +
                        wish.nic);
  }
  take_back_and_forget(*journal, folder, {});
  return false;
}

class Attaching {
 public:
  Attaching(const BridgeWish& wish, const BridgingOptions& options)
      : wish_(wish), options_(options), folder_(options.folder) {}

  bool run() {
    if (!may_change_networks()) throw BridgeRefused("this needs CAP_NET_ADMIN: run it as root");
    {
      const UniqueFd lock = folder_.records().lock();
      if (is_attached(wish_, folder_) || !prepare()) return false;
    }
    try {
      attach(journal_, folder_, wish_.has_stp, options_.before_step);
      check();
      finish();
    } catch (const NotTakenBack&) {
      throw;
    } catch (...) {
      const UniqueFd lock = folder_.records().lock();
      take_back_and_forget(journal_, folder_, {});
      throw;
    }
    return true;
  }

 private:
  void step(std::string_view what) const {
    if (options_.before_step) options_.before_step(what);
  }

  // False if there is nothing to do. Nothing is changed yet.
  bool prepare() {
    const BridgeFacts facts = look_at(wish_, options_);
    if (const auto refusal = refusal_of(wish_, facts)) throw BridgeRefused(*refusal);
    if (is_port_of(facts, wish_.nic, wish_.bridge)) return false;
    for (const std::string& caution : cautions_about(wish_, facts)) say(options_, caution);
    journal_ = plan_attachment(wish_, facts);
    gateways_ = answering_gateways(journal_, options_.patience_before);
    // Until it is applied the time to do and check it is not the user's.
    if (const auto time = confirm_time_of(wish_)) journal_.deadline = read_clocks().time + *time + time_to_check();
    step("write the journal");
    folder_.write(journal_);
    try {
      step("start the guardian");
      if (journal_.deadline) guard();
    } catch (...) {
      folder_.remove(wish_.nic);
      throw;
    }
    return true;
  }

  [[nodiscard]] std::chrono::milliseconds time_to_check() const {
    return options_.patience_after + (wish_.has_stp ? 2 * stp_forward_delay : std::chrono::seconds(0));
  }

  void guard() {
    guardian_ = start_guardian(wish_.nic, folder_, options_.before_step_of_guardian);
    journal_.guardian = guardian_.identity;
    step("note the guardian");
    folder_.write(journal_);
  }

  void check() const {
    step("ask the gateways");
    if (gateways_.empty()) {
      if (journal_.deadline)
        say(options_, "there is no gateway that answers on " + wish_.nic + ": nothing to check by");
      return;
    }
    const std::vector<Address> silent = silent_gateways(journal_, gateways_, time_to_check());
    if (silent.empty()) return;
    throw std::runtime_error("gateway " + silent.front().to_string() + " answered on " + wish_.nic +
                             " and does not on " + wish_.bridge +
                             ": all was taken back (does a packet filter or the switch drop its answers?)");
  }

  void finish() {
    step("note that it is applied");
    const UniqueFd lock = folder_.records().lock();
    journal_.state = journal_.deadline ? State::Applied : State::Confirmed;
    if (const auto time = confirm_time_of(wish_)) journal_.deadline = read_clocks().time + *time;
    folder_.write(journal_);
  }

  const BridgeWish& wish_;
  const BridgingOptions& options_;
  BridgeJournals folder_;
  BridgeJournal journal_;
  std::vector<Address> gateways_;
  Guardian guardian_;
};

}  // namespace

bool attach_nic(const BridgeWish& wish, const BridgingOptions& options) {
  return Attaching(wish, options).run();
}

std::vector<BridgeJournal> attached_nics(const BridgingOptions& options) {
  const BridgeJournals folder(options.folder);
  std::vector<BridgeJournal> all;
  for (const std::string& name : folder.records().names()) {
    try {
      if (auto journal = folder.read(name)) all.push_back(std::move(*journal));
    } catch (const std::exception& error) {
      say(options, error.what());
    }
  }
  std::ranges::sort(all, {}, [](const BridgeJournal& journal) { return journal.nic.name; });
  return all;
}

std::vector<std::string> confirm_nics(const std::string& nic, const BridgingOptions& options) {
  const BridgeJournals folder(options.folder);
  const UniqueFd lock = folder.records().lock();
  std::vector<std::string> confirmed;
  for (BridgeJournal& journal : attached_nics(options)) {
    if ((!nic.empty() && journal.nic.name != nic) || journal.state == State::Confirmed) continue;
    if (journal.state == State::Applying) {
      throw std::runtime_error(journal.nic.name + " is still on its way into " + journal.bridge.name +
                               ": confirm when attach has returned");
    }
    if (read_clocks().time >= journal.deadline.value_or(Timestamp())) {
      throw std::runtime_error("too late for " + journal.nic.name + ": it is being taken back");
    }
    journal.state = State::Confirmed;
    journal.guardian.reset();
    journal.deadline.reset();
    folder.write(journal);
    confirmed.push_back(journal.nic.name);
  }
  if (confirmed.empty()) {
    throw std::runtime_error("nothing waits to be confirmed" + (nic.empty() ? std::string() : " for " + nic) +
                             " (culvert bridge status tells what is attached)");
  }
  return confirmed;
}

bool detach_nic(const std::string& nic, const BridgingOptions& options) {
  const BridgeJournals folder(options.folder);
  const UniqueFd lock = folder.records().lock();
  const auto journal = folder.read(nic);
  if (!journal) return false;
  if (journal->state == State::Applying && journal->applier.is_alive()) {
    throw BridgeRefused("process " + std::to_string(journal->applier.pid) + " is attaching " + nic);
  }
  take_back_and_forget(*journal, folder, options.before_step);
  return true;
}

std::vector<std::string> restore_nics(RestoreScope scope, const BridgingOptions& options) {
  const BridgeJournals folder(options.folder);
  const UniqueFd lock = folder.records().lock();
  std::vector<std::string> restored;
  std::vector<std::string> problems;
  for (const BridgeJournal& journal : attached_nics(options)) {
    if (journal.state == State::Confirmed) continue;
    if (journal.state == State::Applying && journal.applier.is_alive()) continue;
    if (scope == RestoreScope::Unwatched && journal.is_watched()) continue;
    try {
      take_back_and_forget(journal, folder, options.before_step);
      restored.push_back(journal.nic.name);
    } catch (const std::exception& error) {
      problems.emplace_back(error.what());
    }
  }
  if (!problems.empty()) throw NotTakenBack(joined(problems));
  return restored;
}

}  // namespace culvert

// culvert link: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "namespace_words.hpp"

namespace culvert {

/// `culvert link veth|bridge|…` as a subcommand of `app`, which outlives this.
class LinkCommands {
 public:
  explicit LinkCommands(CLI::App& app);
  LinkCommands(const LinkCommands&) = delete;
  LinkCommands& operator=(const LinkCommands&) = delete;

  [[nodiscard]] bool is_chosen() const { return family_.is_chosen(); }
  /// Does what was chosen and returns the exit status. Throws what failed with everything as before.
  int run() const { return family_.run(); }

 private:
  void add_veth();
  void add_bridge();
  void add_ports(CLI::App* bridge);
  void add_addresses();
  void add_others();

  void veth() const;
  void bridge_add() const;
  int bridge_show() const;
  int peer() const;
  void address_change(bool is_added) const;
  int show() const;
  void remove() const;
  void set_up(bool is_up) const;

  std::string space_;  ///< empty: the present one
  std::string name_, other_, left_, right_, new_name_;
  std::vector<std::string> names_, words_, addresses_, peer_addresses_;
  std::optional<std::uint32_t> mtu_;
  bool is_up_ = false;
  bool has_stp_ = false;
  bool as_json_ = false;
  CLI::App* link_;
  CommandFamily family_;
};

}  // namespace culvert

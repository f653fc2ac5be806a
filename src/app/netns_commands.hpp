// culvert netns: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "namespace_words.hpp"

namespace culvert {

/// `culvert netns list|add|delete|…` as a subcommand of `app`, which outlives this.
class NetnsCommands {
 public:
  explicit NetnsCommands(CLI::App& app);
  NetnsCommands(const NetnsCommands&) = delete;
  NetnsCommands& operator=(const NetnsCommands&) = delete;

  /// Keeps what `netns exec NAME` and `netns unshare` shall run, whose options are not culvert's, and returns how many
  /// words of the command line are left for `app` to read.
  int take_command(int argc, char** argv);
  [[nodiscard]] bool is_chosen() const { return family_.is_chosen(); }
  /// Does what was chosen and returns the exit status. Throws what failed with everything as before.
  int run();

 private:
  void add_names();
  void add_processes();
  void add_numbers();
  void add_others();

  int list() const;
  int identify() const;
  int pids() const;
  int monitor() const;
  int list_numbers() const;
  void set_number() const;
  int same() const;
  void pin() const;
  void move() const;
  /// Both replace this process.
  int exec();
  int unshare();
  int run_words();

  std::string name_, other_, path_, number_, new_name_;
  std::string space_;  ///< empty: the present one
  bool as_json_ = false;
  std::vector<char*> words_;
  CLI::App* netns_;
  CommandFamily family_;
};

}  // namespace culvert

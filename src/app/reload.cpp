// culvert reload: a changed file for a tunnel that runs.
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "commands.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/quick/advice.hpp"
#include "culvert/quick/control_client.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {
namespace {

/// Programs that know the system's resolver may take their time.
constexpr auto patience = std::chrono::seconds(120);

struct Line {
  std::string_view key;
  std::string_view value;
};

Line take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  const std::size_t equals = std::min(line.size(), line.find('='));
  return {line.substr(0, equals), line.substr(std::min(line.size(), equals + 1))};
}

}  // namespace

int reload_command(const std::string& file_or_name, bool dry_run) {
  const std::string path = config_path_of(file_or_name);
  const std::string name = device_name_of(path);
  // Here first, so that what is wrong in the file is said whatever the tunnel says.
  for (const std::string& warning : advice_on(read_config_file(path))) spdlog::warn("{}", warning);
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
  if (!real) throw std::system_error(errno, std::system_category(), "finding " + printable(path));
  const std::string request =
      fmt::format("culvert_reload=1\nfile={}\n{}\n", real.get(), dry_run ? "dry_run=true\n" : "");
  const WipedString answer = ask_tunnel(name, request, patience);

  std::size_t count = 0;
  bool is_begun = false;
  std::string error;
  std::string_view rest = answer;
  while (!rest.empty()) {
    const auto [key, value] = take_line(rest);
    if (key == "culvert_part" || key == "culvert_difference") {
      fmt::print("{}{}", is_begun ? "" : "  ", value);
      is_begun = key == "culvert_part";
      if (is_begun) continue;
      fmt::print("\n");
      ++count;
    }
    if (key == "culvert_error") error = value;
  }
  if (!error.empty()) throw std::runtime_error("reloading " + name + ": " + error);
  if (count == 0) {
    fmt::print("{}: nothing differs from {}\n", name, path);
  } else {
    fmt::print("{}: {} difference(s){}\n", name, count, dry_run ? ", nothing was changed" : " put in force");
  }
  return 0;
}

}  // namespace culvert

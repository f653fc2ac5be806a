// culvert check, strip and save: what has to do with a file more than with a tunnel.
#include <fmt/format.h>

#include <cstdio>

#include "commands.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/quick/advice.hpp"
#include "culvert/quick/config_text.hpp"
#include "culvert/quick/current_config.hpp"
#include "secret_output.hpp"

namespace culvert {

int check_command(const std::string& file_or_name) {
  const std::string path = config_path_of(file_or_name);
  const Config config = read_config_file(path);
  const std::string name = device_name_of(path);
  for (const std::string& warning : advice_on(config)) fmt::print(stderr, "{} (warning)\n", warning);
  fmt::print("{}: OK, device {}, {} address(es), {} peer(s)\n", path, name, config.addresses.size(),
             config.peers.size());
  return 0;
}

int strip_command(const std::string& file_or_name) {
  const WipedString text = to_text(read_config_file(config_path_of(file_or_name)), ConfigText::ForWg);
  warn_if_others_can_read_output();
  write_secret(text);
  return 0;
}

int save_command(const std::string& file_or_name) {
  const std::string path = config_path_of(file_or_name);
  save_config(path, device_name_of(path), JournalFolder());
  return 0;
}

}  // namespace culvert

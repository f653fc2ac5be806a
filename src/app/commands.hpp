// What each command of the program does. All throw std::exception with a message for people, and return an exit status.
#pragma once

#include <string>

namespace culvert {

/// Makes device `name` and serves its control socket, in the background unless told to stay, until the device or the
/// socket file is deleted or a signal comes.
int bare_command(const std::string& name, bool foreground);
/// Runs the tunnel of a config file until SIGTERM, SIGINT or SIGHUP.
int run_command(const std::string& file_or_name);
/// The same in the background: returns when the tunnel is up.
int up_command(const std::string& file_or_name);
/// Ends the process that up or run left in charge of a tunnel, or undoes what it could not undo itself.
int down_command(const std::string& file_or_name);
/// Puts a changed file in force on a running tunnel without interrupting what stays the same, or only prints what would
/// change.
int reload_command(const std::string& file_or_name, bool dry_run);
/// Prints of a file what `wg setconf` takes.
int strip_command(const std::string& file_or_name);
/// Writes the present state of a running tunnel to its file.
int save_command(const std::string& file_or_name);
/// Parses the file and says whether it could be run, with warnings about what is probably not meant.
int check_command(const std::string& file_or_name);
/// Prints all tunnels of this machine, or the one named.
int show_command(const std::string& name, bool as_json);
/// Print keys in base64; pubkey reads a private key from standard input.
int genkey_command();
int genpsk_command();
int pubkey_command();

}  // namespace culvert

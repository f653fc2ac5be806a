// nftables through libnftables, in-process.
#pragma once

#include <string>

namespace culvert {

/// Runs commands of nft(8), one a line, as one transaction in the calling thread's network namespace. Returns what
/// nftables says of an error, in one printable line; empty when all was done, else nothing was.
[[nodiscard]] std::string run_nft(const std::string& commands);
/// Deletes a table, named with its family as in "inet filter". Nothing happens if there is none. Throws
/// std::runtime_error.
void remove_nft_table(const std::string& table);

}  // namespace culvert

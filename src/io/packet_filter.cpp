// Commands for nftables.
#include "culvert/io/packet_filter.hpp"

#include <nftables/libnftables.h>

#include <memory>
#include <new>
#include <stdexcept>

#include "culvert/base/printable.hpp"

namespace culvert {

namespace {

struct FreeContext {
  void operator()(nft_ctx* context) const noexcept { nft_ctx_free(context); }
};

}  // namespace

std::string run_nft(const std::string& commands) {
  const std::unique_ptr<nft_ctx, FreeContext> context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_error(context.get()) != 0 || nft_ctx_buffer_output(context.get()) != 0) {
    throw std::bad_alloc();
  }
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) == 0) return {};
  const std::string said = nft_ctx_get_error_buffer(context.get());
  return said.empty() ? "nftables refused it" : printable(said.substr(0, said.find('\n')));
}

void remove_nft_table(const std::string& table) {
  if (!run_nft("list table " + table + "\n").empty()) return;
  const std::string error = run_nft("delete table " + table + "\n");
  if (!error.empty()) throw std::runtime_error("cannot remove table " + table + " from the packet filter: " + error);
}

}  // namespace culvert

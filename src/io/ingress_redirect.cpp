// One BPF program of four instructions at the receiving side of a link (tcx, kernel/bpf/tcx.c).
#include "culvert/io/ingress_redirect.hpp"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "errors.hpp"

namespace culvert {

namespace {

// Younger than the headers of Debian 12.
constexpr std::uint32_t attach_at_tcx_ingress = 46;

constexpr bpf_insn instruction(unsigned code, unsigned destination, std::int32_t value) {
  bpf_insn made{};
  made.code = static_cast<__u8>(code);
  made.dst_reg = destination & 0xf;
  made.imm = value;
  return made;
}

UniqueFd call(bpf_cmd command, bpf_attr& attributes) noexcept {
  return UniqueFd(static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes)));
}

UniqueFd load_redirection(std::uint32_t to) noexcept {
  // return bpf_redirect(to, BPF_F_INGRESS);
  const std::array program{
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, static_cast<std::int32_t>(to)),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, BPF_F_INGRESS),
      instruction(BPF_JMP | BPF_CALL, 0, BPF_FUNC_redirect),
      instruction(BPF_JMP | BPF_EXIT, 0, 0),
  };
  constexpr std::array license{'M', 'I', 'T', '\0'};
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
  attributes.insn_cnt = program.size();
  attributes.license = reinterpret_cast<std::uintptr_t>(license.data());
  return call(BPF_PROG_LOAD, attributes);
}

}  // namespace

Result<IngressRedirect> IngressRedirect::begin(std::uint32_t from, std::uint32_t to) noexcept {
  const UniqueFd program = load_redirection(to);
  if (!program.is_open()) return last_error();
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.link_create.prog_fd = static_cast<__u32>(program.get());
  attributes.link_create.target_ifindex = from;
  attributes.link_create.attach_type = attach_at_tcx_ingress;
  UniqueFd link = call(BPF_LINK_CREATE, attributes);
  if (!link.is_open()) return last_error();
  return IngressRedirect(std::move(link));
}

}  // namespace culvert

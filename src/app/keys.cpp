// culvert genkey, genpsk and pubkey.
#include <unistd.h>

#include <array>
#include <span>
#include <stdexcept>

#include "commands.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/system_random.hpp"
#include "secret_output.hpp"

namespace culvert {
namespace {

/// Unbuffered, so that no copy of a secret stays in the buffers of stdio.
int print_key(KeyView key) {
  std::array<char, 45> line;
  key_to_base64(key, std::span(line).first<44>());
  line[44] = '\n';
  write_secret(line);
  wipe(std::as_writable_bytes(std::span(line)));
  return 0;
}

int print_secret(KeyView key) {
  warn_if_others_can_read_output();
  return print_key(key);
}

}  // namespace

int genkey_command() {
  SystemRandom random;
  return print_secret(generate_secret_key(random).bytes());
}

int genpsk_command() {
  SystemRandom random;
  PresharedKey key;
  random.fill(key.writable_bytes());
  return print_secret(key.bytes());
}

int pubkey_command() {
  std::array<char, 256> text{};
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(STDIN_FILENO, text.data() + size, text.size() - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r' || text[size - 1] == ' ')) --size;
  SecretKey secret;
  const bool is_key = key_from_base64({text.data(), size}, secret.writable_bytes());
  wipe(std::as_writable_bytes(std::span(text)));
  if (!is_key)
    throw std::runtime_error(
        "standard input holds no private key: expected 44 characters of base64, as culvert genkey prints");
  return print_key(public_key_of(secret).bytes());
}

}  // namespace culvert

// Aead and XChaCha20-Poly1305 against RFC 8439 and draft-irtf-cfrg-xchacha. More nonces, suites and libraries are in
// aead_of_each_library.cpp.
#include <gtest/gtest.h>

#include "culvert/crypto/aead.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"

namespace culvert {
namespace {

constexpr std::string_view sunscreen =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be "
    "it.";
constexpr std::string_view sunscreen_key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";
constexpr std::string_view sunscreen_associated = "50515253c0c1c2c3c4c5c6c7";

// Its nonce begins with four zero bytes, as WireGuard's do, so that it can be given to Aead as a counter.
TEST(AeadVectors, seals_and_opens_as_in_rfc_8439_appendix_a_5) {
  Aead aead(SymmetricKey(array_from_hex<key_size>("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")));
  constexpr std::uint64_t counter = 0x0807060504030201;
  const auto associated = from_hex("f33388860000000000004e91");
  constexpr std::string_view plaintext =
      "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or "
      "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or "
      "to cite them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
  const auto expected = from_hex(
      "64a0861575861af460f062c79be643bd 5e805cfd345cf389f108670ac76c8cb2 4c6cfc18755d43eea09ee94e382d26b0"
      "bdb7b73c321b0100d4f03b7f355894cf 332f830e710b97ce98c8a84abd0b9481 14ad176e008d33bd60f982b1ff37c855"
      "9797a06ef4f0ef61c186324e2b350638 3606907b6a7c02b0f9f6157b53c867e4 b9166c767b804d46a59b5216cde7a4e9"
      "9040c5a40433225ee282a1b0a06c523e af4534d7f83fa1155b0047718cbc546a 0d072b04b3564eea1b422273f548271a"
      "0bb2316053fa76991955ebd63159434e cebb4e466dae5a1073a6727627097a10 49e617d91d361094fa68f0ff77987130"
      "305beaba2eda04df997b714d6c6f2c29 a6ad5cb4022b02709b"
      "eead9d67890cbb22392336fea1851f38");
  std::vector<std::byte> sealed(plaintext.size() + aead_tag_size);
  aead.seal(counter, bytes_of(plaintext), associated, sealed);
  EXPECT_EQ(sealed, expected);
  ASSERT_TRUE(aead.open(counter, sealed, associated));
  EXPECT_EQ(to_hex(ByteView(sealed).first(plaintext.size())), to_hex(bytes_of(plaintext)));
}

TEST(AeadVectors, xaead_seals_and_opens_as_in_draft_irtf_cfrg_xchacha_a_3_1) {
  const auto key = array_from_hex<key_size>(sunscreen_key);
  const auto nonce = array_from_hex<24>("404142434445464748494a4b4c4d4e4f5051525354555657");
  const auto associated = from_hex(sunscreen_associated);
  const auto expected = from_hex(
      "bd6d179d3e83d43b9576579493c0e939 572a1700252bfaccbed2902c21396cbb 731c7f1b0b4aa6440bf3a82f4eda7e39"
      "ae64c6708c54c216cb96b72e1213b452 2f8c9ba40db5d945b11b69b982c1bb9e 3f3fac2bc369488f76b2383565d3fff9"
      "21f9664c97637da9768812f615c68b13 b52e"
      "c0875924c1c7987947deafd8780acf49");
  std::vector<std::byte> sealed(sunscreen.size() + aead_tag_size);
  xaead_seal(key, nonce, bytes_of(sunscreen), associated, sealed);
  EXPECT_EQ(sealed, expected);
  std::vector<std::byte> opened(sunscreen.size());
  ASSERT_TRUE(xaead_open(key, nonce, sealed, associated, opened));
  EXPECT_EQ(to_hex(opened), to_hex(bytes_of(sunscreen)));
}

}  // namespace
}  // namespace culvert

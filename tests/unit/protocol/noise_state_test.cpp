// Each step of the symmetric state changes what it must and nothing else.
#include "culvert/protocol/noise_state.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "culvert/crypto/kdf.hpp"
#include "low_order_points.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

/// The chaining key and hash that every WireGuard handshake starts from, as other implementations have them written
/// out.
const Digest initial_chaining_key =
    array_from_hex<32>("60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
const Digest initial_hash = array_from_hex<32>("2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");

class NoiseStateTest : public testing::Test {
 protected:
  SymmetricKey key(std::uint64_t seed = 1) {
    SymmetricKey key;
    SeededRandom(seed).fill(key.writable_bytes());
    return key;
  }
  /// Tells transcripts apart: the hash is what is authenticated here.
  std::vector<std::byte> hash_witness(const NoiseState& state) {
    std::vector<std::byte> sealed(16);
    state.clone().encrypt_and_hash(key(), {}, sealed);
    return sealed;
  }
  /// Tells chaining keys apart.
  Digest chaining_key_witness(const NoiseState& state) {
    SymmetricKey first;
    SymmetricKey second;
    state.split(first, second);
    Digest witness;
    copy_bytes(first.bytes(), witness);
    return witness;
  }

  SeededRandom random_{42};
  SecretKey secret_ = generate_secret_key(random_);
  PublicKey public_key_ = public_key_of(secret_);
};

TEST_F(NoiseStateTest, starts_with_the_chaining_key_of_the_protocol_name) {
  SymmetricKey first;
  SymmetricKey second;
  NoiseState(public_key_).split(first, second);
  SymmetricKey expected_first;
  SymmetricKey expected_second;
  kdf2(initial_chaining_key, {}, expected_first.writable_bytes(), expected_second.writable_bytes());
  EXPECT_TRUE(first == expected_first);
  EXPECT_TRUE(second == expected_second);
}

TEST_F(NoiseStateTest, a_label_goes_into_both_transport_keys) {
  SymmetricKey first;
  SymmetricKey second;
  NoiseState(public_key_).split(first, second, "culvert aes-256-gcm");
  SymmetricKey expected_first;
  SymmetricKey expected_second;
  kdf2(initial_chaining_key, bytes_of("culvert aes-256-gcm"), expected_first.writable_bytes(),
       expected_second.writable_bytes());
  EXPECT_TRUE(first == expected_first);
  EXPECT_TRUE(second == expected_second);
  SymmetricKey unlabelled;
  NoiseState(public_key_).split(unlabelled, second);
  EXPECT_FALSE(first == unlabelled);
}

TEST_F(NoiseStateTest, starts_with_the_hash_of_prologue_and_responder) {
  const Digest hash = blake2s({initial_hash, public_key_.bytes()});
  std::vector<std::byte> expected(16);
  Aead(key()).seal(0, {}, hash, expected);
  EXPECT_EQ(hash_witness(NoiseState(public_key_)), expected);
}

TEST_F(NoiseStateTest, mix_hash_changes_the_hash_only) {
  const NoiseState before(public_key_);
  NoiseState after = before.clone();
  after.mix_hash(public_key_.bytes());
  EXPECT_NE(hash_witness(after), hash_witness(before));
  EXPECT_EQ(chaining_key_witness(after), chaining_key_witness(before));
}

TEST_F(NoiseStateTest, mix_key_changes_the_chaining_key_only) {
  const NoiseState before(public_key_);
  NoiseState after = before.clone();
  after.mix_key(public_key_.bytes());
  EXPECT_EQ(hash_witness(after), hash_witness(before));
  EXPECT_NE(chaining_key_witness(after), chaining_key_witness(before));
}

TEST_F(NoiseStateTest, both_ends_of_an_exchange_get_the_same_key) {
  const SecretKey other = generate_secret_key(random_);
  NoiseState ours(public_key_);
  NoiseState theirs(public_key_);
  SymmetricKey our_key;
  SymmetricKey their_key;
  ASSERT_TRUE(ours.mix_exchange(secret_, public_key_of(other), our_key));
  ASSERT_TRUE(theirs.mix_exchange(other, public_key_, their_key));
  EXPECT_TRUE(our_key == their_key);
  EXPECT_EQ(chaining_key_witness(ours), chaining_key_witness(theirs));
  EXPECT_NE(chaining_key_witness(ours), chaining_key_witness(NoiseState(public_key_)));
}

TEST_F(NoiseStateTest, refuses_exchanges_whose_result_is_zero) {
  for (const PublicKey& point : low_order_points()) {
    NoiseState state(public_key_);
    SymmetricKey unused;
    EXPECT_FALSE(state.mix_exchange(secret_, point, unused)) << point.to_base64();
    EXPECT_EQ(chaining_key_witness(state), chaining_key_witness(NoiseState(public_key_)));
  }
}

TEST_F(NoiseStateTest, the_preshared_key_changes_chaining_key_hash_and_key) {
  const PresharedKey zero;
  const PresharedKey one{KeyView(initial_hash)};
  NoiseState with_zero(public_key_);
  NoiseState with_one(public_key_);
  const SymmetricKey key_with_zero = with_zero.mix_preshared(zero);
  const SymmetricKey key_with_one = with_one.mix_preshared(one);
  EXPECT_FALSE(key_with_zero == key_with_one);
  EXPECT_NE(chaining_key_witness(with_zero), chaining_key_witness(with_one));
  EXPECT_NE(hash_witness(with_zero), hash_witness(with_one));
  EXPECT_NE(hash_witness(with_zero), hash_witness(NoiseState(public_key_)));
}

TEST_F(NoiseStateTest, opens_what_it_sealed) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{12}, std::size_t{32}}) {
    std::vector<std::byte> plaintext(size, std::byte{7});
    std::vector<std::byte> sealed(size + 16);
    NoiseState sealing(public_key_);
    sealing.encrypt_and_hash(key(), plaintext, sealed);

    NoiseState opening(public_key_);
    std::vector<std::byte> opened(size);
    ASSERT_TRUE(opening.decrypt_and_hash(key(), sealed, opened));
    EXPECT_EQ(opened, plaintext);
    EXPECT_EQ(hash_witness(opening), hash_witness(sealing));
    EXPECT_NE(hash_witness(opening), hash_witness(NoiseState(public_key_)));
  }
}

TEST_F(NoiseStateTest, is_unchanged_by_what_does_not_open) {
  std::vector<std::byte> plaintext(12, std::byte{7});
  std::vector<std::byte> sealed(28);
  NoiseState(public_key_).encrypt_and_hash(key(), plaintext, sealed);
  const std::vector<std::byte> untouched(12, std::byte{0xaa});
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::vector<std::byte> tampered = sealed;
    tampered[i] ^= std::byte{1};
    NoiseState opening(public_key_);
    std::vector<std::byte> opened = untouched;
    EXPECT_FALSE(opening.decrypt_and_hash(key(), tampered, opened));
    EXPECT_EQ(hash_witness(opening), hash_witness(NoiseState(public_key_)));
    EXPECT_EQ(opened, untouched);
  }
}

TEST_F(NoiseStateTest, opens_nothing_of_another_transcript_or_key) {
  std::vector<std::byte> sealed(16);
  NoiseState(public_key_).encrypt_and_hash(key(), {}, sealed);
  NoiseState other_transcript(public_key_);
  other_transcript.mix_hash(public_key_.bytes());
  EXPECT_FALSE(other_transcript.decrypt_and_hash(key(), sealed, {}));
  EXPECT_FALSE(NoiseState(public_key_).decrypt_and_hash(key(2), sealed, {}));
}

TEST_F(NoiseStateTest, a_clone_goes_its_own_way) {
  NoiseState original(public_key_);
  NoiseState copy = original.clone();
  copy.mix_hash(public_key_.bytes());
  copy.mix_key(public_key_.bytes());
  EXPECT_EQ(hash_witness(original), hash_witness(NoiseState(public_key_)));
  EXPECT_EQ(chaining_key_witness(original), chaining_key_witness(NoiseState(public_key_)));
}

}  // namespace
}  // namespace culvert

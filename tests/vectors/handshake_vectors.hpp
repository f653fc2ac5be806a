// Recorded handshakes, made by make_handshake_vectors.py; bytes are hexadecimal.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace culvert {

struct TransportVector {
  bool by_initiator;
  std::size_t mtu;
  std::string_view frame;
  std::string_view message;
};

/// An initiation, the cookie reply it meets, a second initiation with the cookie, the response, and first messages.
/// Ephemeral secrets are as drawn, before clamping.
struct HandshakeVector {
  std::string_view name;
  std::string_view initiator_secret;
  std::string_view responder_secret;
  std::string_view initiator_public;
  std::string_view responder_public;
  std::string_view preshared_key;
  std::string_view first_ephemeral;
  std::string_view cookie_secret;
  std::string_view cookie_nonce;
  std::string_view second_ephemeral;
  std::string_view response_ephemeral;
  std::string_view source;
  std::int64_t wall;  ///< nanoseconds since 1970
  std::int64_t second_wall;
  std::uint32_t first_index;
  std::uint32_t second_index;
  std::uint32_t response_index;
  std::string_view first_initiation;
  std::string_view cookie_reply;
  std::string_view second_initiation;
  std::string_view response;
  std::array<TransportVector, 6> transports;
};

// clang-format off
inline constexpr HandshakeVector handshake_vectors[] = {
  {
    .name =
        "without preshared key",
    .initiator_secret =
        "283b1dfd40bde60c24b10bea9616a9c45278fed5186638192e5db75618015b74",
    .responder_secret =
        "c89e413d5b8c65a701824634748b273bb65a1a5ef8c3223eeddf1888cbbb5d68",
    .initiator_public =
        "7e896d4ac62161f2dbf27b70c48e25e2194e3863a3a0067d5c34c711163a755c",
    .responder_public =
        "7c17c53968d603392f0c93606324da7bed692e397dda5848d834ea961a633961",
    .preshared_key =
        "0000000000000000000000000000000000000000000000000000000000000000",
    .first_ephemeral =
        "b1f1e0907cad6b7f4402b599409c8c6a0e57282be16bc44891c3a279dcc263bf",
    .cookie_secret =
        "de1a3e5fcb2b37f043eb9022b92582e40ace2ed7eb7be2a9bcdf7d79ea5ca00b",
    .cookie_nonce =
        "5baf75848f0fe04bf61c34904f1e674515992d8f8f29384d",
    .second_ephemeral =
        "d83a9d2cc75f39a4977a58d661428bdc0d170304642b2b63e97d6babd6f125be",
    .response_ephemeral =
        "f4f39a2a856d9be4bb90402f7cd5a16f5f4b968e99729171b817f255ace4d401",
    .source =
        "192.0.2.1:51820",
    .wall =
        1700000000123456789,
    .second_wall =
        1700000005126456789,
    .first_index =
        16909060,
    .second_index =
        4294901244,
    .response_index =
        2147483649,
    .first_initiation =
        "01000000040302019fc99011402d224efddd0e4964308300909cea9049524e38"
        "60481c44668258351344b9c1f099db5f336f7d430b8c8be3c1d3b335809280b4"
        "473971b01553aeedbf4cc277656d1fe4147d1a834c4afc895df77a3f5945a8b3"
        "ea5f7b75df5ba2ddb3085107b4ea92d1b5d610903641bdea30fde06006b7df6f"
        "ce0bd93800000000000000000000000000000000",
    .cookie_reply =
        "03000000040302015baf75848f0fe04bf61c34904f1e674515992d8f8f29384d"
        "d6f119ed5714705e65efdcd8365f6ca3461738765d15c5012528b20ad41965bf",
    .second_initiation =
        "01000000fcfdfefff523ffb2646ec6f72cefea7dae2262196fa81b73307025c8"
        "02950d235480f6275bad1ffaf7e6238d968f52ff102433aa852052fe9da7cbd4"
        "737131c7f0c5fb929ec4818f4b6a7b63b42ce6a51a188b23e8bcf1788a2882f8"
        "dae281f72ef1a0e32c851633c98238e53cad04917cccd9e2668ab529521b41c1"
        "b894fab376d43ff426c64390126b395fd838e24a",
    .response =
        "0200000001000080fcfdfeff27845a3c448621f8b48cfefa95340c3504586330"
        "3f7b8d4b5660302ec506a758a405204e0c063d2291086c67521ce83d41a9fd1b"
        "5b19dd1de7b6b71d3adfc51d00000000000000000000000000000000",
    .transports = {{
      {true,
       1420,
       "",
       "040000000100008000000000000000004dc5db15060f90c8f7f640d57e9251ef"},
      {true,
       1420,
       "c32f53e8aa1f7fcea4097629ebe3bb51a28c09cc",
       "04000000010000800100000000000000842470ab46e9a6dd5f3eda16fd95ec1f"
       "2b970bd8b0814bf432f999803463dd168b238314372cde53e85f003f8652b14b"},
      {false,
       1420,
       "fdad1325a89c4bb30c13322a293db44d4bf578a6ecb845bcb62fd5aa9ac9da86"
       "2155dc9f5af727ec2fcafab58ab46c921d261acb89de932116ef8f52ecfa7b49"
       "030241fa50b8663bab0da914b8cedf348e3da3ed",
       "04000000fcfdfeff00000000000000002c843b2eb00d0c3c46ec4eafd079c85f"
       "91ca4c9ae0571c7b3ecbc75d18e5bcdd82c90c9ccfeb6e9d1ee9e73e45de66fb"
       "a68d5d0e902cfd39c91d92822defa955f24edc656b9bfb465bdd21aa3a6ed03b"
       "f767055c075ed4d03e56066ccebed93ee04ba3bd6bb7987472ab4d9392ffc35d"},
      {false,
       1420,
       "6a073faaa3e1dc9020ba5ae551a40ef2d980f8694b990d4d3f55252a28cae36c",
       "04000000fcfdfeff0100000000000000e791912377ecdde0ecb152422414432a"
       "6c16cad0191c30a3939e80c4f9ea31a20c32811b313cccdbbf18cc9a1c3f03c0"},
      {true,
       100,
       "785837efd0f91b244940b7b8ad0d202463923dde03db7f193670da02f2cbe266"
       "f2b91ad2c707a414706854039f697cf3b5452d9839cdc9d4eeb9096abd27734d"
       "030f995c362b42498a2923a81c15851343f7c26b0328f202b3ca800f591814bb"
       "82f504",
       "040000000100008002000000000000002cd044097b78153c2d59058abd705cb1"
       "abc84948ed8f6c446c9f27efaa61aa052d7f0a892f04c669f63938225b01c8b9"
       "cbc53db8d73c541cbeea6e90f92ba0a614ec6b345f1876e5ab321844fbf43150"
       "cea18ded43d3fbf034d58e647b00161fb83580c33aadefb2bf2bf85e75ba8c3e"
       "1e287dd9"},
      {false,
       100,
       "228a8c3479294a5f5ebfdcb7a8197450d8564995a533fb230f24c2d74c3568c6"
       "36b6c5acd96499880b1478cca6d85ad5bb5fda7ae914bb7fe8c404db660e4d4e"
       "61851c389b5981e945dabf18028f1b0d530b6ca264aae319888d1736ccd8481c"
       "bce685be",
       "04000000fcfdfeff02000000000000003150d5561242438efb44b5ae676cb6fc"
       "978d42d05abf352e9d590299eb1368fe72948612da9c7155698a80dd13748eb9"
       "48cd4d5c2d8bf05e91599e54cffaf8d1773e2568078a1274651fac584b770e08"
       "3aba22207ea8e2470ae3110bef27f1f9044d6d86e404d67147cf239b1fcd465d"
       "4e1a7a99"},
    }},
  },
  {
    .name =
        "with preshared key",
    .initiator_secret =
        "886c409909744f5f235e2832afef89e842331a970c60e348088be8122e7cdc47",
    .responder_secret =
        "a0d205f3dd985976fdda889c7530236d035ea3a2bd4707344b7d7c435d297576",
    .initiator_public =
        "81b75138c79d3029a894519b48c85c5623e6155bcf6cdfe448247a43ee21b71b",
    .responder_public =
        "6cd6fecc2a684f491f5a3741aa072f99ee1e1b724eb377e5c9a8a974f168d42a",
    .preshared_key =
        "131c16890430b2806a308f09c02b77231614b39c9275df2d4d610ca35ae497db",
    .first_ephemeral =
        "20cec493920ffb5744d8b35deb55d7318eb22e5ffef8ef492b313a2214cdeb54",
    .cookie_secret =
        "a97c1298b9ee6f034fbbb3d9fdce1093f08c13c6a83db956b55f73019f83acaf",
    .cookie_nonce =
        "b91bda1a264578da9c4659fef553fd2c345e65a852972778",
    .second_ephemeral =
        "5021f0eddb6e27a2694b6d364fb7c17a9e160a93baf4605793c31775870ff95d",
    .response_ephemeral =
        "1038640756819779346691eb1b5fa52fcd9d939f961c72cdeb9e307e268cb708",
    .source =
        "[2001:db8::1]:258",
    .wall =
        1700000000123456789,
    .second_wall =
        1700000005126456789,
    .first_index =
        16909060,
    .second_index =
        4294901244,
    .response_index =
        2147483649,
    .first_initiation =
        "0100000004030201d87e6055259f1733ed58e048bfbc1df47e4b5e1459ccb459"
        "fe95af266941714767e84441408b7ad027b0f4f705b45d7ea57a8b122835a415"
        "63845919d6e6e6bee6cc5a1c08683b51e93611d0744e8d35a9d768d323c47eff"
        "dbcf0d0a684620ae67444b4171a1b84f70e59e1a822aa97055182a7b9ff782d7"
        "bcbffee300000000000000000000000000000000",
    .cookie_reply =
        "0300000004030201b91bda1a264578da9c4659fef553fd2c345e65a852972778"
        "9dcfe1553aedbfa27a7c0d12c62b849603aba69002082a2d94bbfa3b121e5530",
    .second_initiation =
        "01000000fcfdfeff69e21a871a1f1853d2875c00b537dd1b38f8bca6298fdb29"
        "d99ed94a6690d404c6aee7eec9d4e72fb610f8a402cf2bca236ae0e0fad2415e"
        "e48dcf09af2136fc0c7ad05af716eb62c4fb6e57d47ad89f4eefb17fa34c41cf"
        "76870b67e607ec2caf801791d804331f5eb93cc8b9a0ea786915da2fd7d55c48"
        "584c4f38f1d89adf15b7dce18253180ba0602d22",
    .response =
        "0200000001000080fcfdfeff0cb5b1a08086b0551bf97a04c3ab2ed9aa25c7be"
        "f9fe5b33a2dc7c7573ca99496cbb8226cc6dd2cb53b89df5636dd9578f249084"
        "65c1fbc7a12a60388d3cd00a00000000000000000000000000000000",
    .transports = {{
      {true,
       1420,
       "",
       "04000000010000800000000000000000122a50d1446478a7ec4285699d3b1e0a"},
      {true,
       1420,
       "e92101ace46ee45c4e6a7e35e1d92dc95132b69f",
       "04000000010000800100000000000000f3ff7a2887ee73e30acd4a80dcfcd52c"
       "57ea1cd4e307e37cb1ff6d7cbbfdec9945e691b53143aac5f17486bbac0a35ca"},
      {false,
       1420,
       "85dd05055a6f2dbb56355b4ad7b9bbf718d719f7834f4e4a2eb58bd03788be93"
       "d30d570ab2d705a9941c3d33f82d2b32c9fdc2ac2baa7ae59a3ce04dacc6a811"
       "ff056db9dea13b5c43e8868fd398ae96882e727f",
       "04000000fcfdfeff0000000000000000ab86092d9e09e7cacbc717560e4dc537"
       "24e12c400a9f440b369db62ed1c9690258c698fc55a76d0506b57275b554d60c"
       "397d10fe3f3c2293c87cb3bf6747da2834270280bbb8a54d309c361d93fe482a"
       "b9b8a8660c8767f89bb995ce3eb8c56f264ed6d1927bcfec96adc9c65be1f862"},
      {false,
       1420,
       "57b1d40601ea5eb2ac80e9d6af5493fd2991c0d12489fa4eb9ae1dac5cce34d4",
       "04000000fcfdfeff0100000000000000da4037241cb21885df8b0eeba2baf6c5"
       "479e5106df8effe72785532839166e33f7b50acbbfca674db0334ee9ea705994"},
      {true,
       100,
       "fa7c031c6f79c7ea9141ac1e711807b6c243f2f531154d4ef36fc6fd23d4e402"
       "e1fd9386a304a434d9007d0bd1e42220714ad4206ee79a26d099c23d20991597"
       "e1250476a4f0419c150242ec40cc66c2872307a4fac036f080ba53d3dc0c6292"
       "c96519",
       "04000000010000800200000000000000301e778acdd6200c67666e4f50af2e1f"
       "9730e8c62e9a221c4019575f3735368a0b7adb733fd8b1f8f491f0464f051430"
       "a70c22c7e0bfdd979b1878ae9ca379648d4cdad7f917a27802db3d281d76ff7d"
       "ea84204a58896631aea5b659896121341cbe08df7257f9df40413803f9e5c3e6"
       "19ddb2f1"},
      {false,
       100,
       "6cd561a93f32d479dc5ebf13218faba1a4c44a8f9b43c85990d2676abd38788b"
       "adf225b7cb6e5859af89d11524ad3ea34277e8de721cb7baffbaf6ac095a3baf"
       "727a65409008fda86a809693a8ca9d9b2b5f2a739ca1f7fe7193efae95ae5cd2"
       "abf3c602",
       "04000000fcfdfeff0200000000000000b03d837188370e2bdd82531ff65855fd"
       "ec6dc39cb8a7725ee4b66fe7f89d6e8e78f598221c005bafb74cf78a3be49177"
       "b6c2796866079e85582bff09796222c2d7371f16518bf3d7dbbe079745c76b81"
       "48b00a52af47dddc1e6a6a69b163941202d184513a2a9115732bec7aaa998d8b"
       "f5e7ec27"},
    }},
  },
};
// clang-format on

}  // namespace culvert

// Packed messages (RFC 7692): Autobahn's 12 and 13, without a connection.

#include "../support.hpp"
#include "frames.hpp"

#include <random>

using test::binary;
using test::continuation;
using test::Deflate;
using test::fin;
using test::frame;
using test::Message;
using test::MsgType;
using test::ping;
using test::rsv1;
using test::rsv2;
using test::text_frame;
using test::understand;
using test::WebSocketParser;
using test::WebSocketRole;
using test::WebSocketWriter;

namespace {

constexpr auto server = WebSocketRole::server;
constexpr auto client = WebSocketRole::client;

// Words at random: what can be packed.
std::string prose(std::size_t bytes) {
  static const char* const words[] = {"the ", "quick ", "brown ", "fox ", "jumps ", "\xc3\xbc"};
  std::minstd_rand random(static_cast<unsigned>(bytes + 1));
  std::string all;
  while (all.size() < bytes) all += words[random() % 6];
  return all;
}

Deflate seen_by_peer(const Deflate& how) {
  Deflate peer;
  peer.takeover = how.peer_takeover;
  peer.peer_takeover = how.takeover;
  return peer;
}

}  // namespace

TEST_CASE("packed messages come as they were sent, whatever was agreed on (12, 13)") {
  for (const bool takeover : {true, false}) {
    for (int bits = 8; bits <= 15; ++bits) {
      CAPTURE(takeover);
      CAPTURE(bits);
      Deflate how;
      how.takeover = takeover;
      how.window_bits = bits;
      WebSocketWriter writer(client, how);
      WebSocketParser parser(server, 0, seen_by_peer(how));
      for (const std::size_t size : {0, 1, 16, 64, 256, 1024, 4096, 8192, 65'536, 131'072, 1}) {
        std::string bytes;
        writer.message(bytes, MsgType::text, prose(size));
        writer.message(bytes, MsgType::ping, "p");
        writer.message(bytes, MsgType::binary, prose(size));
        CHECK((bytes[0] & rsv1) == (bits == 8 ? 0 : rsv1));
        if (bits > 8 && size > 1'000) CHECK(bytes.size() < 2 * size);
        std::string_view input = bytes;
        std::vector<Message> messages;
        while (auto message = parser.next(input)) messages.push_back(std::move(*message));
        REQUIRE(messages.size() == 3);
        CHECK(messages[0].data == prose(size));
        CHECK(messages[1].data == "p");
        CHECK(messages[2].data == prose(size));
      }
    }
  }
}

TEST_CASE("the examples of RFC 7692, 7.2.3") {
  const std::string hello("\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
  const auto unpack = [](const std::string& bytes) {
    return understand(bytes, server, 0, Deflate());
  };
  CHECK(unpack(frame(fin | rsv1 | text_frame, hello)) == "text(Hello)");
  CHECK(unpack(frame(rsv1 | text_frame, hello.substr(0, 3)) +
               frame(fin | continuation, hello.substr(3))) == "text(Hello)");
  CHECK(unpack(frame(fin | rsv1 | text_frame, hello) +
               frame(fin | rsv1 | text_frame, std::string("\xf2\x00\x11\x00\x00", 5))) ==
        "text(Hello) text(Hello)");
  CHECK(unpack(frame(fin | rsv1 | text_frame,
                     std::string("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11))) ==
        "text(Hello)");
  CHECK(
      unpack(frame(fin | rsv1 | text_frame, std::string("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8))) ==
      "text(Hello)");  // a block that is the last
  CHECK(unpack(frame(fin | rsv1 | text_frame,
                     std::string("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13))) ==
        "text(Hello)");  // two blocks
  CHECK(unpack(frame(fin | text_frame, "plain")) == "text(plain)");
  CHECK(unpack(frame(fin | rsv1 | text_frame, std::string(1, '\0'))) == "text()");
}

TEST_CASE("the bit of packed messages stands on their first frame alone") {
  const auto refused = [](const std::string& bytes) {
    return understand(bytes, server, 0, Deflate()) == "error 1002";
  };
  const std::string hello("\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
  CHECK(refused(frame(rsv1 | text_frame, hello.substr(0, 3)) +
                frame(fin | rsv1 | continuation, hello.substr(3))));
  CHECK(refused(frame(fin | rsv1 | ping, "x")));
  CHECK(refused(frame(fin | rsv2 | text_frame, "x")));
  CHECK(refused(frame(fin | rsv1 | rsv2 | text_frame, hello)));
}

TEST_CASE("what cannot be unpacked, or unpacks to what may not be, is refused") {
  CHECK(understand(frame(fin | rsv1 | binary, "\xff\xff\xff"), server, 0, Deflate()) ==
        "error 1007");
  std::string bytes;
  WebSocketWriter(client, Deflate()).message(bytes, MsgType::text, "\xed\xa0\x80");
  CHECK(understand(bytes, server, 0, Deflate()) == "error 1007");
  bytes.clear();
  WebSocketWriter(client, Deflate()).message(bytes, MsgType::text, "cut \xe1\xbd");
  CHECK(understand(bytes, server, 0, Deflate()) == "error 1007");
}

TEST_CASE("a small message that unpacks to a big one is stopped at the limit") {
  std::string bytes;
  WebSocketWriter writer(client, Deflate());
  writer.message(bytes, MsgType::binary, std::string(100'000'000, '\0'));
  CHECK(bytes.size() < 200'000);
  CHECK(understand(bytes, server, 200'000, Deflate()) == "error 1009");
  bytes.clear();
  WebSocketWriter(client, Deflate()).message(bytes, MsgType::binary, std::string(1'000, 'x'));
  CHECK(understand(bytes, server, 1'000, Deflate()).starts_with("binary(xxx"));
  CHECK(understand(bytes, server, 999, Deflate()) == "error 1009");
}

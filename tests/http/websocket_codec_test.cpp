// Frames and messages: the cases of Autobahn's list that need no connection.

#include "../support.hpp"
#include "cuts.hpp"
#include "frames.hpp"

#include <aio/http/websocket.hpp>

#include <algorithm>
#include <random>

using test::binary;
using test::chopped;
using test::close_frame;
using test::closing;
using test::continuation;
using test::Deflate;
using test::fin;
using test::frame;
using test::Message;
using test::MsgType;
using test::ping;
using test::pong;
using test::rsv1;
using test::rsv2;
using test::rsv3;
using test::text_frame;
using test::understand;
using test::WebSocketError;
using test::WebSocketParser;
using test::WebSocketRole;
using test::WebSocketWriter;

namespace {

#if defined(UVLET_ASAN)
constexpr int splits = 50'000;
#else
constexpr int splits = 1'000'000;
#endif

constexpr auto server = WebSocketRole::server;
constexpr auto client = WebSocketRole::client;

struct Case {
  std::string bytes;
  std::string meaning;
};

// As a whole and byte by byte.
void check_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CHECK(understand(one.bytes) == one.meaning);
    CHECK(understand(chopped(one.bytes)) == one.meaning);
  }
}

// Written by one end, read by the other.
Message sent(WebSocketRole from, MsgType type, const std::string& data,
             const std::optional<Deflate>& deflate = {}) {
  std::string bytes;
  WebSocketWriter(from, deflate).message(bytes, type, data);
  WebSocketParser parser(from == client ? server : client, 0, deflate);
  std::string_view input = bytes;
  std::optional<Message> message = parser.next(input);
  REQUIRE(message);
  CHECK(!parser.next(input));
  CHECK(input.empty());
  return *message;
}

std::string noise(std::size_t bytes) {
  std::minstd_rand random(static_cast<unsigned>(bytes + 1));
  std::string data(bytes, '\0');
  for (char& c : data) c = static_cast<char>(random());
  return data;
}

}  // namespace

TEST_CASE("a message of any size comes as it was sent (1.1, 1.2, 9)") {
  const std::size_t sizes[] = {0,     1,     125,   126,    127,    128,
                               4'095, 4'096, 4'097, 65'535, 65'536, 300'000};
  for (const std::size_t size : sizes) {
    CAPTURE(size);
    for (const WebSocketRole from : {client, server}) {
      const Message bytes = sent(from, MsgType::binary, noise(size));
      CHECK(bytes.type == MsgType::binary);
      CHECK(bytes.data == noise(size));
      const Message words = sent(from, MsgType::text, std::string(size, '*'));
      CHECK(words.type == MsgType::text);
      CHECK(words.data == std::string(size, '*'));
    }
  }
}

TEST_CASE("what is written is what the standard says, in the shortest form") {
  std::string bytes;
  WebSocketWriter writer(server);
  writer.message(bytes, MsgType::text, "Hello");  // RFC 6455, 5.7
  CHECK(bytes == "\x81\x05Hello");
  for (const std::size_t size : {0, 125, 126, 65'535, 65'536}) {
    bytes.clear();
    writer.message(bytes, MsgType::binary, std::string(size, 'x'));
    CHECK(bytes == frame(fin | binary, std::string(size, 'x'), false));
  }
  bytes.clear();
  writer.close(bytes, 1001, "bye");
  writer.close(bytes, 1005, "");
  CHECK(bytes == frame(fin | close_frame, closing(1001, "bye"), false) +
                     frame(fin | close_frame, "", false));
}

TEST_CASE("a client masks each frame differently") {
  WebSocketWriter writer(client);
  std::string first, second;
  writer.message(first, MsgType::binary, std::string(100, '\0'));
  writer.message(second, MsgType::binary, std::string(100, '\0'));
  CHECK(first.size() == 106);
  CHECK(first.substr(2, 4) != second.substr(2, 4));
  CHECK(first.substr(2, 4) == first.substr(6, 4));
}

TEST_CASE("masks are for clients, and for them alone") {
  CHECK(understand(frame(fin | text_frame, "x", false), server) == "error 1002");
  CHECK(understand(frame(fin | text_frame, "x", true), client) == "error 1002");
  CHECK(understand(frame(fin | ping, "", false), server) == "error 1002");
  CHECK(understand(frame(fin | text_frame, "x", false), client) == "text(x)");
}

TEST_CASE("pings and pongs (2)") {
  check_all({
      {frame(fin | ping, ""), "ping()"},
      {frame(fin | ping, "Hello, world!"), "ping(Hello, world!)"},
      {frame(fin | ping, std::string("\x00\xff\xfe", 3)), std::string("ping(\x00\xff\xfe)", 9)},
      {frame(fin | ping, std::string(125, 'x')), "ping(" + std::string(125, 'x') + ")"},
      {frame(fin | ping, std::string(126, 'x')), "error 1002"},
      {frame(fin | pong, ""), "pong()"},
      {frame(fin | pong, "unsolicited"), "pong(unsolicited)"},
      {frame(fin | pong, "a") + frame(fin | ping, "b"), "pong(a) ping(b)"},
      {frame(fin | ping, "1") + frame(fin | ping, "2") + frame(fin | ping, "3"),
       "ping(1) ping(2) ping(3)"},
  });
}

TEST_CASE("reserved bits mean nothing without an extension (3)") {
  for (int bits = rsv3; bits <= (rsv1 | rsv2 | rsv3); bits += rsv3) {
    CAPTURE(bits);
    for (const int opcode : {text_frame, binary, close_frame, ping, pong}) {
      const std::string first = frame(fin | text_frame, "ok");
      CHECK(understand(first + frame(fin | bits | opcode, "x")) == "text(ok) error 1002");
      CHECK(understand(chopped(first + frame(fin | bits | opcode, "x"))) == "text(ok) error 1002");
    }
  }
}

TEST_CASE("unknown opcodes are refused (4)") {
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    CAPTURE(opcode);
    CHECK(understand(frame(fin | opcode, "")) == "error 1002");
    CHECK(understand(frame(fin | text_frame, "ok") + frame(fin | opcode, "x")) ==
          "text(ok) error 1002");
  }
}

TEST_CASE("messages in fragments, with control frames between them (5)") {
  const std::string a = frame(text_frame, "fragment1"), b = frame(fin | continuation, "fragment2");
  check_all({
      {frame(ping, "fragment1") + frame(fin | continuation, "fragment2"), "error 1002"},
      {frame(pong, "fragment1") + frame(fin | continuation, "fragment2"), "error 1002"},
      {a + b, "text(fragment1fragment2)"},
      {a + frame(fin | ping, "p") + b, "ping(p) text(fragment1fragment2)"},
      {a + frame(fin | close_frame, closing(1000)), "close1000()"},
      {frame(fin | continuation, "x"), "error 1002"},
      {frame(continuation, "x"), "error 1002"},
      {a + b + frame(fin | continuation, "x"), "text(fragment1fragment2) error 1002"},
      {a + frame(fin | text_frame, "x"), "error 1002"},
      {a + frame(binary, "x"), "error 1002"},
      {frame(text_frame, "") + frame(continuation, "") + frame(fin | continuation, ""), "text()"},
      {frame(text_frame, "") + frame(continuation, "x") + frame(fin | continuation, ""), "text(x)"},
      {frame(binary, "1") + frame(continuation, "2") + frame(fin | ping, "p") +
           frame(continuation, "3") + frame(fin | pong, "q") + frame(continuation, "4") +
           frame(fin | continuation, "5") + frame(fin | text_frame, "next"),
       "ping(p) pong(q) binary(12345) text(next)"},
  });
}

TEST_CASE("a text is UTF-8, as a whole and not in each fragment (6)") {
  const std::string valid[] = {
      "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
      "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
      std::string(1, '\0'),
      "\x7f",
      "\xc2\x80",
      "\xdf\xbf",
      "\xe0\xa0\x80",
      "\xed\x9f\xbf",
      "\xee\x80\x80",
      "\xef\xbf\xbd",
      "\xef\xbf\xbf",
      "\xf0\x90\x80\x80",
      "\xf4\x8f\xbf\xbf",
      "\xf0\x9f\x98\x80 12345678 \xf0\x9f\x98\x80",
  };
  for (const std::string& one : valid) {
    CAPTURE(one);
    CHECK(understand(frame(fin | text_frame, one)) == "text(" + one + ")");
    std::string fragments;
    for (std::size_t at = 0; at < one.size(); ++at)
      fragments += frame(at == 0 ? text_frame : continuation, one.substr(at, 1));
    CHECK(understand(fragments + frame(fin | continuation, "")) == "text(" + one + ")");
  }
  const std::string invalid[] = {"\xf8\x88\x80\x80\x80",
                                 "\xfc\x84\x80\x80\x80\x80",
                                 "\xf7\xbf\xbf\xbf",
                                 "\xf4\x90\x80\x80",
                                 "\x80",
                                 "\xbf",
                                 "\x80\xbf\x80",
                                 "\xc0 ",
                                 "\xc1\xbf",
                                 "\xe0 ",
                                 "\xf0 ",
                                 "\xe0\x80",
                                 "\xf0\x80",
                                 "\xc3",
                                 "\xe1\xbd",
                                 "\xf0\x90\x80",
                                 "\xfe",
                                 "\xff",
                                 "\xc0\xaf",
                                 "\xe0\x9f\xbf",
                                 "\xf0\x8f\xbf\xbf",
                                 "\xed\xa0\x80",
                                 "\xed\xbf\xbf",
                                 "\xed\xa0\x80\xed\xb0\x80",
                                 "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
                                 "edited"};
  for (const std::string& one : invalid) {
    CAPTURE(one);
    CHECK(understand(frame(fin | text_frame, one)) == "error 1007");
    CHECK(understand(frame(fin | text_frame, "12345678" + one)) == "error 1007");
    CHECK(understand(chopped(frame(fin | text_frame, one))) == "error 1007");
    CHECK(understand(frame(text_frame, one) + frame(fin | continuation, "")) == "error 1007");
    CHECK(understand(frame(fin | binary, one)) == "binary(" + one + ")");
  }
}

TEST_CASE("a byte that is not UTF-8 is noticed when it comes, not at the end (6.4)") {
  const std::string start = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
  CHECK(understand(frame(text_frame, start) + frame(continuation, "\xf4\x90")) == "error 1007");
  const std::string whole = frame(fin | text_frame, start + "\xf4\x90\x80\x80" + "edited");
  std::size_t noticed = 0;
  WebSocketParser parser(server, 0);
  try {
    for (const std::string_view byte : chopped(whole)) {
      std::string_view input = byte;
      parser.next(input);
      ++noticed;
    }
  } catch (const WebSocketError& error) {
    CHECK(error.code == 1007);
  }
  CHECK(noticed == 6 + start.size() + 1);
}

TEST_CASE("how a connection may be closed (7)") {
  check_all({
      {frame(fin | close_frame, ""), "close1005()"},
      {frame(fin | close_frame, "\x03"), "error 1002"},
      {frame(fin | close_frame, closing(1000)), "close1000()"},
      {frame(fin | close_frame, closing(1000, "Hello World!")), "close1000(Hello World!)"},
      {frame(fin | close_frame, closing(1000, std::string(123, '*'))),
       "close1000(" + std::string(123, '*') + ")"},
      {frame(fin | close_frame, closing(1000, std::string(124, '*'))), "error 1002"},
      {frame(fin | close_frame, closing(1000, "\xce\xba\xe1\xbd\xb9\xed\xa0\x80")), "error 1007"},
      {frame(fin | close_frame, closing(1000, "\xce")), "error 1007"},
      {frame(close_frame, closing(1000)), "error 1002"},
  });
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                         3000, 3999, 4000, 4999})
    CHECK(understand(frame(fin | close_frame, closing(code))) ==
          "close" + std::to_string(code) + "()");
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65'535}) {
    CAPTURE(code);
    CHECK(understand(frame(fin | close_frame, closing(code))) == "error 1002");
    CHECK(understand(frame(fin | close_frame, closing(code, "reason"))) == "error 1002");
  }
}

TEST_CASE("a length has its shortest form, and is no negative number") {
  const std::string mask(4, '\0');
  CHECK(understand(std::string("\x82\xfe\x00\x05", 4) + mask + "12345") == "error 1002");
  CHECK(understand(std::string("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", 10) + mask + "x") ==
        "error 1002");
  CHECK(understand(std::string("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", 10) + mask + "x") ==
        "error 1002");
}

TEST_CASE("a message that is too long is refused by its head") {
  CHECK(understand(frame(fin | binary, std::string(100, 'x')), server, 100).starts_with("binary"));
  const std::string too_long = frame(fin | binary, std::string(101, 'x')).substr(0, 7);
  CHECK(understand(too_long, server, 100) == "error 1009");
  CHECK(understand(frame(text_frame, std::string(60, 'x')) +
                       frame(continuation, std::string(41, 'x')).substr(0, 7),
                   server, 100) == "error 1009");
  const std::string huge("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x", 15);
  CHECK(understand(huge, server, 100) == "error 1009");
  CHECK(understand(huge) == "");
  CHECK(understand(frame(fin | ping, std::string(125, 'x')), server, 100).starts_with("ping"));
}

TEST_CASE("big messages, in few and in many fragments (9)") {
  const std::string data = noise(1 << 20);
  for (const std::size_t piece : {64, 1024, 65'536, 1 << 20}) {
    CAPTURE(piece);
    std::string bytes;
    for (std::size_t at = 0; at < data.size(); at += piece)
      bytes += frame((at == 0 ? binary : continuation) | (at + piece < data.size() ? 0 : fin),
                     std::string_view(data).substr(at, piece));
    std::vector<std::string_view> pieces;
    for (std::size_t at = 0; at < bytes.size(); at += 1500)
      pieces.push_back(std::string_view(bytes).substr(at, 1500));
    CHECK(understand(pieces) == "binary(" + data + ")");
  }
}

TEST_CASE("however the bytes are cut, the messages are the same") {
  Deflate deflate;
  WebSocketWriter writer(client, deflate);
  std::string bytes;
  writer.message(bytes, MsgType::text, "hello, hello, hello \xc2\xb5");
  bytes += frame(text_frame, "k\xce") + frame(fin | ping, "p") + frame(fin | continuation, "\xba");
  writer.message(bytes, MsgType::binary, noise(300));
  writer.message(bytes, MsgType::text, "hello, hello, hello");
  bytes +=
      frame(fin | binary, std::string(130, 'x')) + frame(fin | close_frame, closing(1000, "bye"));
  const std::string whole = understand(bytes, server, 0, deflate);
  CHECK(whole.ends_with("close1000(bye)"));
  CHECK(test::wrong_cuts(bytes, splits, [&](const std::vector<std::string_view>& pieces) {
          return understand(pieces, server, 0, deflate) == whole;
        }) == 0);
}

TEST_CASE("bytes at random end in messages or an error, never elsewhere") {
  std::minstd_rand random(11);
  Deflate deflate;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = noise(static_cast<std::size_t>(random() % 200));
    if (!bytes.empty()) bytes[0] = static_cast<char>(random() % 16 | (random() % 2 ? fin : 0));
    if (bytes.size() > 1) bytes[1] = static_cast<char>(0x80 | random() % 128);
    const std::string meaning = understand(bytes, server, 1'000, deflate);
    CHECK(understand(chopped(bytes), server, 1'000, deflate) == meaning);
  }
}

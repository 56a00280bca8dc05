#include "cuts.hpp"
#include "parsing.hpp"

#include <doctest/doctest.h>

using test::Limits;
using test::parse;
using test::Parser;

namespace {

constexpr auto responses = Parser::Of::responses;

#if defined(UVLET_ASAN)
constexpr int splits = 50'000;
#else
constexpr int splits = 1'000'000;
#endif

const std::string pipeline =
    "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nX-Empty:\r\n\r\n"
    "POST /form HTTP/1.1\r\nHost: example.com\r\nContent-Length: 11\r\n\r\nhello=world"
    "\r\nPUT /chunks HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
    "4\r\nwiki\r\n6;name=value\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n"
    "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

}  // namespace

TEST_CASE("a request's head is read") {
  CHECK(parse("GET /x HTTP/1.1\r\nHost: a\r\nAccept:  */* \t\r\nEmpty:\r\n\r\n") ==
        "(GET /x 1.1 keep {Host=a} {Accept=*/*} {Empty=}).complete");
}

TEST_CASE("a body has the length that the head says, and the next request follows") {
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n"
              "Host: b\r\n\r\n") ==
        "(POST / 1.1 keep length=5 {Host=a} {Content-Length=5})[hello]."
        "(GET / 1.1 keep {Host=b}).complete");
}

TEST_CASE("a request that asks for another protocol may be followed by the next one") {
  const std::string asks = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n";
  const std::string meaning =
      "(GET /a 1.1 keep upgrade {Host=a} {Connection=Upgrade} {Upgrade=h2c}";
  CHECK(parse(asks + "\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n") ==
        meaning + ").(GET /b 1.1 keep {Host=b}).complete");
  CHECK(parse(asks + "\r\n" + asks + "\r\n") == meaning + ")." + meaning + ").complete");
}

TEST_CASE("chunks become a body, trailers are never merged into the headers") {
  CHECK(parse("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
              "3\r\nabc\r\n1;x=\"y\"\r\nd\r\n0\r\nHost: evil\r\n\r\n") ==
        "(PUT / 1.1 keep chunked {Host=a} {Transfer-Encoding=Chunked})[abcd].complete");
}

TEST_CASE("a message that the end of the stream cuts short is not complete") {
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n") == "cut short");
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel") ==
        "(POST / 1.1 keep length=5 {Host=a} {Content-Length=5})[hel]cut short");
  CHECK(parse("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n") ==
        "(PUT / 1.1 keep chunked {Host=a} {Transfer-Encoding=chunked})[abc]cut short");
  CHECK(parse("") == "complete");
}

TEST_CASE("a connection is kept as the version and the Connection header say") {
  CHECK(parse("GET / HTTP/1.0\r\n\r\n") == "(GET / 1.0).complete");
  CHECK(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") ==
        "(GET / 1.0 keep {Connection=Keep-Alive}).complete");
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") ==
        "(GET / 1.1 {Host=a} {Connection=close}).complete");
}

TEST_CASE("a response may end with the stream") {
  CHECK(parse("HTTP/1.1 200 OK\r\n\r\nabc", responses) == "(200 OK 1.1)[abc]complete");
  CHECK(parse("HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nno", responses) ==
        "(404 Not Found 1.0 length=2 {Content-Length=2})[no].complete");
  CHECK(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", responses) ==
        "(200 OK 1.1 keep chunked {Transfer-Encoding=chunked})[a]cut short");
}

TEST_CASE("some responses have no body, whatever their heads say") {
  const char* length = "Content-Length: 3\r\n\r\n";
  const std::string next = "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n";
  for (const char* status : {"204 No Content", "304 Not Modified", "103 Early Hints"}) {
    const std::string text =
        parse("HTTP/1.1 " + std::string(status) + "\r\n" + length + next, responses);
    CHECK_MESSAGE(text.ends_with("{Content-Length=3}).(200  1.1 keep length=0 "
                                 "{Content-Length=0}).complete"),
                  text);
  }
  CHECK(parse("HTTP/1.1 200 OK\r\n" + std::string(length) + next, responses, true) ==
        "(200 OK 1.1 keep length=3 {Content-Length=3}).(200  1.1 keep length=0 "
        "{Content-Length=0}).complete");
  CHECK(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + next, responses, true) ==
        "(200 OK 1.1 keep chunked {Transfer-Encoding=chunked}).(200  1.1 keep length=0 "
        "{Content-Length=0}).complete");
}

TEST_CASE("what follows an upgrade is left alone") {
  Parser parser(Parser::Of::requests);
  const std::string bytes =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05";
  std::string_view input = bytes;
  CHECK(parser.next(input) == Parser::Event::head);
  CHECK(parser.head().upgrade);
  CHECK(parser.next(input) == Parser::Event::end);
  CHECK(input == "\x81\x05");
}

TEST_CASE("an interim response is a message of its own") {
  CHECK(parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
              responses) ==
        "(100 Continue 1.1 keep).(200 OK 1.1 keep length=0 {Content-Length=0}).complete");
}

TEST_CASE("limits are kept, and those who break them are told which") {
  Limits limits;
  limits.line = 20;
  limits.field = 10;
  limits.fields = 2;
  auto status = [&](const std::string& bytes) {
    return parse(bytes, Parser::Of::requests, false, limits);
  };
  CHECK(status("GET /5678 HTTP/1.1\r\nHost: a\r\n\r\n").ends_with("complete"));
  CHECK(status("GET /56789012 HTTP/1.1\r\nHost: a\r\n\r\n") == "error 414");
  CHECK(status("GET /567890123456789012345678") == "error 414");  // without waiting for more
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nX: 4567890\r\n\r\n").ends_with("complete"));
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nX: 45678901\r\n\r\n") == "error 431");
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nX: 4567890123") == "error 431");
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n\r\n") == "error 431");
}

TEST_CASE("endless chunk extensions and trailers are cut off") {
  const std::string head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string expected = "(PUT / 1.1 keep chunked {Host=a} {Transfer-Encoding=chunked})";
  CHECK(parse({head, "1;" + std::string(20'000, 'x')}) == expected + "error 400");
  std::vector<std::string_view> pieces{head, "0\r\n"};
  for (int i = 0; i < 2'000; ++i) pieces.push_back("X: 12345678\r\n");
  CHECK(parse(pieces) == expected + "error 400");
}

TEST_CASE("a length of 2^64 - 1 is a length, one more is none") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ";
  CHECK(parse(head + "18446744073709551615\r\n\r\n").starts_with("(POST / 1.1 keep length=1844"));
  CHECK(parse(head + "18446744073709551616\r\n\r\n") == "error 400");
}

TEST_CASE("however the bytes are cut, they mean the same") {
  const std::string whole = parse(pipeline);
  CHECK(whole.ends_with("(HEAD / 1.0 keep {Connection=keep-alive}).complete"));
  for (std::size_t at = 0; at <= pipeline.size(); ++at)
    CHECK(parse({std::string_view(pipeline).substr(0, at),
                 std::string_view(pipeline).substr(at)}) == whole);
  CHECK(test::wrong_cuts(pipeline, splits, [&](const std::vector<std::string_view>& pieces) {
          return parse(pieces) == whole;
        }) == 0);
}

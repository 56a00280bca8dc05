// What two parsers in a row could read in two ways must be refused: RFC 9112, 11.

#include "parsing.hpp"

#include <doctest/doctest.h>

#include <string>

using std::string_literals::operator""s;
using test::Limits;
using test::parse;
using test::Parser;

namespace {

struct Vector {
  const char* what;
  std::string bytes;
};

// A request with these headers, besides the Host.
std::string with(const std::string& headers, const std::string& body = {}) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body;
}

std::string chunked(const std::string& body) {
  return with("Transfer-Encoding: chunked\r\n", body);
}

std::string line(const std::string& first) { return first + "\r\nHost: a\r\n\r\n"; }

const std::string nul(1, '\0');

const Vector vectors[] = {
    // lengths
    {"both a length and chunks",
     with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
    {"chunks and a length",
     with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")},
    {"two lengths that differ", with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")},
    {"two lengths that agree", with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")},
    {"two lengths in one field", with("Content-Length: 5, 5\r\n", "hello")},
    {"two lengths with a blank", with("Content-Length: 5 5\r\n", "hello")},
    {"a length with a sign", with("Content-Length: +5\r\n", "hello")},
    {"a negative length", with("Content-Length: -5\r\n", "hello")},
    {"a hexadecimal length", with("Content-Length: 0x5\r\n", "hello")},
    {"a fractional length", with("Content-Length: 5.0\r\n", "hello")},
    {"an empty length", with("Content-Length:\r\n", "hello")},
    {"a length that is a word", with("Content-Length: five\r\n", "hello")},
    {"a length with a comma", with("Content-Length: 5,\r\n", "hello")},
    {"a length past 2^64", with("Content-Length: 18446744073709551621\r\n", "hello")},
    {"a length in quotes", with("Content-Length: \"5\"\r\n", "hello")},
    {"a length with an underscore", with("Content-Length: 1_0\r\n", "helloworld")},
    // transfer encodings
    {"an encoding that only ends like chunked",
     with("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")},
    {"an encoding that only begins like chunked",
     with("Transfer-Encoding: chunkedx\r\n", "0\r\n\r\n")},
    {"chunked and then identity", with("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")},
    {"identity and then chunked", with("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n")},
    {"identity in a field of its own",
     with("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
    {"chunked twice",
     with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
    {"chunked twice in one field", with("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")},
    {"identity alone", with("Transfer-Encoding: identity\r\n", "hello")},
    {"gzip alone", with("Transfer-Encoding: gzip\r\n", "hello")},
    {"gzip and then chunked", with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")},
    {"an empty encoding", with("Transfer-Encoding:\r\n", "0\r\n\r\n")},
    {"chunked in quotes", with("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n")},
    {"chunked with a parameter", with("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n")},
    {"chunked after a vertical tab", with("Transfer-Encoding: \x0b"
                                          "chunked\r\n",
                                          "0\r\n\r\n")},
    {"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    // chunks
    {"a chunk size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n")},
    {"a chunk size with a sign", chunked("+5\r\nhello\r\n0\r\n\r\n")},
    {"a negative chunk size", chunked("-5\r\nhello\r\n0\r\n\r\n")},
    {"a chunk size with a blank before", chunked(" 5\r\nhello\r\n0\r\n\r\n")},
    {"a chunk size with a blank after", chunked("5 \r\nhello\r\n0\r\n\r\n")},
    {"no chunk size", chunked("\r\nhello\r\n0\r\n\r\n")},
    {"a chunk size that is no number", chunked("g\r\nhello\r\n0\r\n\r\n")},
    {"a chunk size that overflows", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n")},
    {"a chunk size that ends in LF", chunked("5\nhello\r\n0\r\n\r\n")},
    {"a chunk size that ends in CR", chunked("5\rhello\r\n0\r\n\r\n")},
    {"a chunk that is longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n")},
    {"a chunk without its end", chunked("5\r\nhello0\r\n\r\n")},
    {"a chunk that ends in LF", chunked("5\r\nhello\n0\r\n\r\n")},
    {"a chunk extension with a CR", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n")},
    {"a chunk extension with a LF", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n")},
    // lines
    {"a line that ends in LF", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
    {"a header that ends in LF", "GET / HTTP/1.1\r\nHost: a\n\r\n"},
    {"a head that ends in LF", "GET / HTTP/1.1\r\nHost: a\r\n\n"},
    {"only LF", "GET / HTTP/1.1\nHost: a\n\n"},
    {"a header that ends in CR", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
    {"a CR in a value", with("X: a\rTransfer-Encoding: chunked\r\n")},
    {"a CR before the line end", with("X: a\r\r\n")},
    {"a folded header", with("X: a\r\n b\r\n")},
    {"a folded header with a tab", with("X: a\r\n\tb\r\n")},
    {"a folded length", with("Content-Length:\r\n 5\r\n", "hello")},
    {"a blank before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
    {"a blank before the colon", with("Content-Length : 5\r\n", "hello")},
    {"a tab before the colon", with("Content-Length\t: 5\r\n", "hello")},
    {"a header without a colon", with("Content-Length 5\r\n", "hello")},
    {"a header without a name", with(": 5\r\n")},
    {"a blank in a name", with("Content Length: 5\r\n", "hello")},
    {"NUL in a name", with("Content-Length" + nul + ": 5\r\n", "hello")},
    {"NUL in a value", with("X: a" + nul + "b\r\n")},
    {"a byte of 8 bits in a name", with("Content-L\xc3\xa9ngth: 5\r\n")},
    {"a control character in a value", with("X: a\x01"
                                            "b\r\n")},
    {"DEL in a value", with("X: a\x7f"
                            "b\r\n")},
    {"empty lines without end before a request",
     "\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    // the first line
    {"no Host", "GET / HTTP/1.1\r\n\r\n"},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
    {"two Hosts that agree", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {"a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
    {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {"a Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {"a Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {"a method in lower case", line("get / HTTP/1.1")},
    {"a method that is no token", line("SMUG(GLE / HTTP/1.1")},
    {"a fragment in the target", line("GET /#f HTTP/1.1")},
    {"a fragment after the query", line("GET /?a#f HTTP/1.1")},
    {"two blanks after the method", line("GET  / HTTP/1.1")},
    {"a tab after the method", line("GET\t/ HTTP/1.1")},
    {"two blanks before the version", line("GET /  HTTP/1.1")},
    {"a blank in the target", line("GET /a b HTTP/1.1")},
    {"a tab in the target", line("GET /a\tb HTTP/1.1")},
    {"NUL in the target", line("GET /a" + nul + "b HTTP/1.1")},
    {"a byte of 8 bits in the target", line("GET /\xc3\xa9 HTTP/1.1")},
    {"a target that is no path", line("GET a HTTP/1.1")},
    {"an empty target", line("GET  HTTP/1.1")},
    {"an asterisk for GET", line("GET * HTTP/1.1")},
    {"HTTP/0.9", "GET /\r\n\r\n"},
    {"no version", line("GET / ")},
    {"a version in lower case", line("GET / http/1.1")},
    {"blanks after the version", line("GET / HTTP/1.1 ")},
    {"a version with a zero", line("GET / HTTP/01.1")},
    {"a version of one number", line("GET / HTTP/1")},
    {"a blank before the method", line(" GET / HTTP/1.1")},
    {"junk before the method", line("\x16\x03\x01 / HTTP/1.1")},
};

}  // namespace

TEST_CASE("what could be read in two ways is refused") {
  for (const Vector& vector : vectors) {
    const std::string result = parse(vector.bytes + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    CAPTURE(vector.what);
    CAPTURE(result);
    const bool about_version = std::string_view(vector.what).find("version") != std::string::npos;
    CHECK(result.find(about_version ? "error " : "error 400") != std::string::npos);
    CHECK(result.find("smuggled") == std::string::npos);
    // Cut into single bytes as well.
    std::vector<std::string_view> bytes;
    for (const char& byte : vector.bytes) bytes.emplace_back(&byte, 1);
    const std::string whole = parse(vector.bytes);
    if (whole.find("error ") != std::string::npos) CHECK(parse(bytes) == whole);
  }
}

TEST_CASE("a version that nobody speaks is told so") {
  CHECK(parse(line("GET / HTTP/1.2")) == "error 505");
  CHECK(parse(line("GET / HTTP/2.0")) == "error 505");
  CHECK(parse(line("GET / HTTP/3.0")) == "error 505");
  CHECK(parse(line("PRI * HTTP/2.0")) == "error 505");
}

TEST_CASE("what only looks strange is served") {
  for (const std::string& bytes : {
           with("Content-Length:5\r\n", "hello"),
           with("content-length: \t5 \r\n", "hello"),
           with("Content-Length: 05\r\n", "hello"),
           with("TRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"),
           chunked("005\r\nhello\r\n000\r\n\r\n"),
           chunked("A;x\r\nhelloworld\r\n0\r\n\r\n"),
           with("X_Y.z~!: a, b;c=\"d\"\r\n"),
           with("X: caf\xc3\xa9\r\n"),
           "\r\n" + with(""),
           line("OPTIONS * HTTP/1.1"),
           line("CONNECT a:443 HTTP/1.1"),
           line("GET http://a/b HTTP/1.1"),
           line("GET /?a=%00&b=[]|{} HTTP/1.1"),
           line("BREW /pot HTTP/1.1"),
           "GET / HTTP/1.1\r\nHost:\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"s,
       })
    CHECK_MESSAGE(parse(bytes).find("error") == std::string::npos, (bytes + " -> " + parse(bytes)));
}

TEST_CASE("what begins with a CR that ends no line is refused, whatever follows it in memory") {
  for (const std::string& bytes :
       {"\r \r \r\n\r\n\r"s, "\r \r \r\n\r\n"s, "\r  \r\n\r\n"s,
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"s, "\r\n\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"s})
    CHECK(parse(bytes) == "error 400");
  for (const std::string& bytes : {"\rX\r\n\r\n\r"s, "\rHTTP/1.1 200 OK\r\n\r\n"s})
    CHECK(parse(bytes, Parser::Of::responses) == "error 400");
}

TEST_CASE("a line that is too long is refused as such, though it ends badly") {
  Limits limits;
  limits.line = 20;
  for (const std::size_t size : {19, 20, 21, 22, 30}) {
    const std::string bytes = std::string(size, 'a') + "\n";
    std::vector<std::string_view> pieces;
    for (const char& byte : bytes) pieces.emplace_back(&byte, 1);
    const std::string whole = parse(bytes, Parser::Of::requests, false, limits);
    CHECK(whole == (size > 21 ? "error 414" : "error 400"));
    CHECK(parse(pieces, Parser::Of::requests, false, limits) == whole);
  }
}

TEST_CASE("responses are held to the same rules") {
  auto refused = [](const std::string& bytes) {
    return parse(bytes, Parser::Of::responses).find("error 400") != std::string::npos;
  };
  CHECK(refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"));
  CHECK(refused(
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
  CHECK(refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx"));
  CHECK(refused("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"));
  CHECK(refused("HTTP/1.1 200 OK\nX: a\r\n\r\n"));
  CHECK(refused("HTTP/1.1 20 OK\r\n\r\n"));
  CHECK(refused("HTTP/1.1 2000 OK\r\n\r\n"));
  CHECK(refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
  CHECK(refused("ICY 200 OK\r\n\r\n"));
}

#include "../../src/aio/http/multipart.hpp"

#include <aio/http/json.hpp>
#include <green/subprocess.hpp>

#include <doctest/doctest.h>

#include <set>
#include <stdexcept>

using aio::http::FormPart;
using aio::http::json;
using aio::http::detail::encode_multipart;
using aio::http::detail::Multipart;

namespace {

constexpr double watchdog = 60;

std::string boundary_of(const Multipart& form) {
  const std::string before = "multipart/form-data; boundary=";
  REQUIRE(form.content_type.starts_with(before));
  return form.content_type.substr(before.size());
}

// The body, with "B" for the boundary.
std::string body_of(const std::vector<FormPart>& parts) {
  const Multipart form = encode_multipart(parts);
  const std::string boundary = boundary_of(form);
  std::string body = form.body;
  for (std::size_t at; (at = body.find(boundary)) != std::string::npos;)
    body = body.substr(0, at) + "B" + body.substr(at + boundary.size());
  return body;
}

// What Python's standard library reads: name, filename, type and the hexadecimal digits of the
// value.
json read_by_python(const Multipart& form) {
  constexpr const char* program = R"(
import email.parser, email.policy, json, sys
message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(sys.stdin.buffer.read())
parts = [[part.get_param("name", header="content-disposition"), part.get_filename(),
          part.get_content_type(), part.get_payload(decode=True).hex()]
         for part in message.iter_parts()]
print(json.dumps(parts))
)";
  green::PopenOptions options;
  options.in = options.out = green::PIPE;
  green::Popen python({"python3", "-c", program}, options);
  const std::string output =
      python.communicate("Content-Type: " + form.content_type + "\r\n\r\n" + form.body, watchdog)
          .first;
  REQUIRE(python.returncode() == 0);
  return json::parse(output);
}

}  // namespace

TEST_CASE("fields and files are parts between boundaries") {
  CHECK(body_of({{"a", "1"}, {"f", "two\r\nlines", "x.bin"}, {"t", "", "é.txt", "text/plain"}}) ==
        "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
        "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\ntwo\r\nlines\r\n"
        "--B\r\nContent-Disposition: form-data; name=\"t\"; filename=\"é.txt\"\r\n"
        "Content-Type: text/plain\r\n\r\n\r\n"
        "--B--\r\n");
  CHECK(body_of({}) == "--B--\r\n");
  CHECK(body_of({{"j", "{}", std::nullopt, "application/json"}}) ==
        "--B\r\nContent-Disposition: form-data; name=\"j\"\r\n"
        "Content-Type: application/json\r\n\r\n{}\r\n--B--\r\n");
}

// WHATWG HTML, 4.10.21.8: of a name the line ends are made CRLF first.
TEST_CASE("a name ends neither its quotes nor its line") {
  CHECK(body_of({{"a\"\r\nX: y\n\r", "", "\"b\"\n\\%22"}}) ==
        "--B\r\nContent-Disposition: form-data; name=\"a%22%0D%0AX: y%0D%0A%0D%0A\"; "
        "filename=\"%22b%22%0A\\%22\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n");
}

TEST_CASE("a content type is one field") {
  CHECK_THROWS_AS(encode_multipart({{"a", "", "b", "text/plain\r\nX: y"}}), std::invalid_argument);
}

TEST_CASE("a boundary is another one each time, and a token") {
  std::set<std::string> boundaries;
  for (int i = 0; i < 100; ++i) boundaries.insert(boundary_of(encode_multipart({})));
  CHECK(boundaries.size() == 100);
  for (const std::string& boundary : boundaries) {
    CHECK(boundary.size() <= 70);  // RFC 2046, 5.1.1
    CHECK(boundary.find_first_not_of("-0123456789abcdefghijklmnopqrstuvwxyz") == std::string::npos);
  }
}

TEST_CASE("python reads what is written") {
  std::string all_bytes;
  std::string digits;
  for (int byte = 0; byte < 256; ++byte) {
    all_bytes += static_cast<char>(byte);
    digits += "0123456789abcdef"[byte >> 4];
    digits += "0123456789abcdef"[byte & 15];
  }
  const Multipart form = encode_multipart({{"field", "value"},
                                           {"empty", ""},
                                           {"bytes", all_bytes, "all.bin"},
                                           {"lines", "\r\n--\r\n", "a \"b\".txt", "text/csv"}});
  CHECK(read_by_python(form) == json::parse(R"([["field", null, "text/plain", "76616c7565"],
                        ["empty", null, "text/plain", ""],
                        ["bytes", "all.bin", "application/octet-stream", ")" +
                                            digits + R"("],
                        ["lines", "a %22b%22.txt", "text/csv", "0d0a2d2d0d0a"]])"));
}

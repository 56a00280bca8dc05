// Lines of Set-Cookie, each after a byte that says whose: a jar keeps to its limits, and says
// nothing that would end a line, or that was not for that host.

#include "../../src/aio/http/cookies.hpp"

#include "fuzz.hpp"

#include <algorithm>
#include <array>

using aio::http::detail::CookieJar;
using aio::http::detail::parse_url;
using aio::http::detail::Url;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const std::array<Url, 4> setters = {
      parse_url("http://www.example.com/a/b"), parse_url("https://example.com/"),
      parse_url("http://127.0.0.1/a"), parse_url("http://localhost/a/b?c")};
  static const Url foreign = parse_url("https://example.org/a/b");
  fuzz::Input input(bytes, size);
  CookieJar jar([] { return std::time_t{1'420'070'400}; });
  while (!input.rest().empty()) {
    const Url& setter = setters[input.byte() % setters.size()];
    const std::string_view line = input.until('\n');
    jar.store(setter, line);
    aio::http::detail::parse_cookie_date(line);
  }
  fuzz::require(jar.size() <= CookieJar::total_max, "a jar has room for so many");
  for (const Url& url : setters) {
    const std::string header = jar.header_for(url);
    fuzz::require(
        std::none_of(
            header.begin(), header.end(),
            [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f; }),
        "a header is one line");
  }
  fuzz::require(jar.header_for(foreign).empty(), "a cookie is not told to others");
  return 0;
}

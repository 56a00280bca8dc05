#include "../../src/aio/http/cookies.hpp"

#include "../../src/aio/http/text.hpp"

#include <aio/http/json.hpp>

#include <doctest/doctest.h>

#include <fstream>

using aio::http::Headers;
using aio::http::detail::CookieJar;
using aio::http::detail::format_date;
using aio::http::detail::join;
using aio::http::detail::parse_cookie_date;
using aio::http::detail::parse_url;

namespace {

std::time_t now = 0;
constexpr std::time_t year_2015 = 1'420'070'400;

// A jar at whose time nothing happens but what a test does.
class Jar : public CookieJar {
 public:
  Jar() : CookieJar([] { return now; }) { now = year_2015; }

  void set(const char* url, std::string_view cookie) { store(parse_url(url), cookie); }
  std::string sent(const char* url) const { return header_for(parse_url(url)); }
};

// What a second request has, after a first one set this.
std::string sent(const char* set_by, std::string_view cookie, const char* to) {
  Jar jar;
  jar.set(set_by, cookie);
  return jar.sent(to);
}

std::string date(std::string_view text) {
  const auto time = parse_cookie_date(text);
  return time ? format_date(*time) : "none";
}

}  // namespace

// RFC 6265, 3.1.
TEST_CASE("a cookie is told to the host that set it, all of them in one field") {
  Jar jar;
  jar.store(
      parse_url("http://example.com/"),
      Headers{{"Set-Cookie", "SID=31d4d96e407aad42"}, {"X", "y=z"}, {"set-cookie", "lang=en-US"}});
  CHECK(jar.sent("http://example.com/a/b?c") == "SID=31d4d96e407aad42; lang=en-US");
  CHECK(jar.sent("http://example.org/") == "");
  jar.set("http://example.com/", "lang=; Expires=Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(jar.sent("http://example.com/") == "SID=31d4d96e407aad42");
  CHECK(jar.size() == 1);
}

TEST_CASE("a name and its value are what is around the first '='") {
  const auto kept = [](std::string_view cookie) {
    return sent("http://a.test/", cookie, "http://a.test/");
  };
  CHECK(kept(" a = b=c \t; Path=/") == "a=b=c");
  CHECK(kept("a=") == "a=");
  CHECK(kept("a=\"b c\"") == "a=\"b c\"");
  CHECK(kept("a=\xc3\xa9") == "a=\xc3\xa9");
  CHECK(kept("a") == "");
  CHECK(kept("=b") == "");
  CHECK(kept("") == "");
  CHECK(kept("; a=b") == "");
  CHECK(kept("a=b\x01") == "");
  CHECK(kept(std::string_view("a=b\0c", 5)) == "");
}

TEST_CASE("a cookie without a Domain is the host's alone, with one it is also of what is below") {
  CHECK(sent("http://example.com/", "a=b", "http://www.example.com/") == "");
  for (const char* cookie : {"a=b; Domain=example.com", "a=b; domain=.EXAMPLE.com"}) {
    CHECK(sent("http://www.example.com/", cookie, "http://example.com/") == "a=b");
    CHECK(sent("http://www.example.com/", cookie, "http://x.example.com:81/") == "a=b");
    CHECK(sent("http://www.example.com/", cookie, "http://badexample.com/") == "");
    CHECK(sent("http://www.example.com/", cookie, "http://com/") == "");
  }
}

TEST_CASE("a host sets no cookies for others") {
  for (const char* domain :
       {"example.org", "b.example.com", "ample.com", "a.example.com.", "com"}) {
    Jar jar;
    jar.set("http://a.example.com/", std::string("a=b; Domain=") + domain);
    CHECK_MESSAGE(jar.size() == 0, domain);
  }
}

TEST_CASE("nobody sets cookies for a public suffix, but that itself") {
  CHECK(sent("http://a.co.uk/", "a=b; Domain=co.uk", "http://a.co.uk/") == "");
  CHECK(sent("http://co.uk/", "a=b; Domain=co.uk", "http://co.uk/") == "a=b");
  CHECK(sent("http://co.uk/", "a=b; Domain=co.uk", "http://a.co.uk/") == "");
  CHECK(sent("http://joe.github.io/", "a=b; Domain=github.io", "http://ann.github.io/") == "");
  CHECK(sent("http://localhost/", "a=b; Domain=localhost", "http://localhost/") == "a=b");
  CHECK(sent("http://a.internal/", "a=b; Domain=internal", "http://b.internal/") == "");
}

TEST_CASE("an address is a host, and nothing is below it") {
  CHECK(sent("http://127.0.0.1/", "a=b", "http://127.0.0.1:81/") == "a=b");
  CHECK(sent("http://127.0.0.1/", "a=b; Domain=127.0.0.1", "http://127.0.0.1/") == "a=b");
  CHECK(sent("http://127.0.0.1/", "a=b; Domain=0.0.1", "http://127.0.0.1/") == "");
  CHECK(sent("http://[::1]/", "a=b", "http://[0::1]/") == "a=b");
}

TEST_CASE("a cookie is told below its path") {
  CHECK(sent("http://a.test/", "a=b; Path=/x", "http://a.test/x") == "a=b");
  CHECK(sent("http://a.test/", "a=b; Path=/x", "http://a.test/x/y?z") == "a=b");
  CHECK(sent("http://a.test/", "a=b; Path=/x", "http://a.test/xy") == "");
  CHECK(sent("http://a.test/", "a=b; Path=/x/", "http://a.test/x/y") == "a=b");
  CHECK(sent("http://a.test/", "a=b; Path=/x/", "http://a.test/x") == "");
}

TEST_CASE("without a path, or with one that is none, it is the request's folder") {
  for (const char* cookie : {"a=b", "a=b; Path", "a=b; Path=x", "a=b; Path=\"/\""}) {
    CHECK(sent("http://a.test/x/y?z=/1", cookie, "http://a.test/x/other") == "a=b");
    CHECK(sent("http://a.test/x/y", cookie, "http://a.test/x") == "a=b");
    CHECK(sent("http://a.test/x/y", cookie, "http://a.test/") == "");
    CHECK(sent("http://a.test/x", cookie, "http://a.test/y") == "a=b");
  }
}

TEST_CASE("a secure cookie is told over a secure connection alone, and set there") {
  Jar jar;
  jar.set("https://a.test/", "a=b; Secure");
  CHECK(jar.sent("https://a.test/") == "a=b");
  CHECK(jar.sent("wss://a.test/") == "a=b");
  CHECK(jar.sent("http://a.test/") == "");
  jar.set("http://a.test/", "a=evil");
  jar.set("http://a.test/", "a=evil; Path=/x");
  jar.set("http://x.a.test/", "a=evil; Domain=a.test");
  jar.set("http://a.test/", "c=d; Secure");
  CHECK(jar.sent("https://a.test/x/") == "a=b");
  jar.set("http://a.test/", "other=1");
  CHECK(jar.sent("https://a.test/") == "a=b; other=1");
}

TEST_CASE("a cookie ends with its time, and Max-Age goes before Expires") {
  Jar jar;
  jar.set("http://a.test/", "a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
  jar.set("http://a.test/", "b=2; Expires=" + format_date(year_2015 + 20));
  jar.set("http://a.test/", "c=3; Max-Age=99999999999999999999999999");
  jar.set("http://a.test/", "d=4; Max-Age=x; Expires=never; Max-Age=");
  CHECK(jar.sent("http://a.test/") == "a=1; b=2; c=3; d=4");
  now = year_2015 + 9;
  CHECK(jar.sent("http://a.test/") == "a=1; b=2; c=3; d=4");
  now = year_2015 + 10;
  CHECK(jar.sent("http://a.test/") == "b=2; c=3; d=4");
  now = year_2015 + 20;
  CHECK(jar.sent("http://a.test/") == "c=3; d=4");
  jar.set("http://a.test/", "c=; Max-Age=0");
  jar.set("http://a.test/", "d=; Max-Age=-1");
  CHECK(jar.sent("http://a.test/") == "");
}

TEST_CASE("longer paths go first, then who came first; a new value keeps the place") {
  Jar jar;
  jar.set("http://a.test/", "a=1");
  jar.set("http://a.test/", "b=2; Path=/x");
  jar.set("http://a.test/", "c=3");
  jar.set("http://a.test/", "d=4; Path=/x/y");
  jar.set("http://a.test/", "a=5");
  jar.set("http://a.test/", "a=6; Path=/x");
  CHECK(jar.sent("http://a.test/x/y") == "d=4; b=2; a=6; a=5; c=3");
}

TEST_CASE("a jar has limits: what is too large is not taken, the oldest goes") {
  Jar jar;
  jar.set("http://a.test/", "a=" + std::string(4095, 'x'));
  CHECK(jar.size() == 1);
  jar.set("http://a.test/", "b=" + std::string(4096, 'x'));
  CHECK(jar.size() == 1);
  jar.set("http://a.test/", "b=1; Path=/" + std::string(2000, 'x'));
  CHECK(jar.sent("http://a.test/").ends_with("; b=1"));  // as if there was no Path

  for (std::size_t i = 0; i < CookieJar::domain_max; ++i)
    jar.set("http://a.test/", "n" + std::to_string(i) + "=");
  CHECK(jar.size() == CookieJar::domain_max);
  CHECK(jar.sent("http://a.test/").starts_with("n0=; n1="));
  for (std::size_t i = 0; i < CookieJar::total_max; ++i)
    jar.set(("http://h" + std::to_string(i) + ".test/").c_str(), "a=b");
  CHECK(jar.size() == CookieJar::total_max);
  CHECK(jar.sent("http://a.test/") == "");
  CHECK(jar.sent("http://h0.test/") == "a=b");
}

TEST_CASE("what has ended makes room first") {
  Jar jar;
  jar.set("http://a.test/", "old=1");
  jar.set("http://a.test/", "short=1; Max-Age=1");
  while (jar.size() < CookieJar::domain_max)
    jar.set("http://a.test/", "n" + std::to_string(jar.size()) + "=");
  now += 1;
  jar.set("http://a.test/", "new=1");
  CHECK(jar.sent("http://a.test/").starts_with("old=1; n2="));
  CHECK(jar.sent("http://a.test/").ends_with("; new=1"));
}

// The tests of the group that wrote RFC 6265 (github.com/abarth/http-state, tests/data), but for
// those that it has disabled.
TEST_CASE("the tests of http-state") {
  std::ifstream file(HTTP_STATE);
  REQUIRE(file);
  int cases = 0;
  for (const aio::http::json& test : aio::http::json::parse(file)) {
    const std::string name = test["test"];
    if (name.starts_with("DISABLED")) continue;
    const auto page = parse_url("http://home.example.org:8888/cookie-parser?" + name);
    Jar jar;
    for (const auto& cookie : test["received"]) jar.store(page, cookie.get<std::string>());
    std::string expected;
    for (const auto& cookie : test["sent"])
      expected += (expected.empty() ? "" : "; ") + cookie["name"].get<std::string>() + "=" +
                  cookie["value"].get<std::string>();
    const std::string next = test.value("sent-to", "/cookie-parser-result?" + name);
    CHECK_MESSAGE(jar.header_for(join(page, next)) == expected, name);
    ++cases;
  }
  CHECK(cases > 200);
}

// From the same place: tests/data/dates/examples.json.
TEST_CASE("dates are read as servers write them") {
  CHECK(date("Mon, 10-Dec-2007 17:02:24 GMT") == "Mon, 10 Dec 2007 17:02:24 GMT");
  CHECK(date("Thursday, 01-Jan-1970 00:00:00 GMT") == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(date("Mon Dec 10 16:32:30 2007 GMT") == "Mon, 10 Dec 2007 16:32:30 GMT");
  CHECK(date("Wednesday, 01-Jan-10 00:00:00 GMT") == "Fri, 01 Jan 2010 00:00:00 GMT");
  CHECK(date("Wed, 1 Jan 2020 00:00:00 GMT") == "Wed, 01 Jan 2020 00:00:00 GMT");
  CHECK(date("Thu, 31 Dec 23:55:55 2037 GMT") == "Thu, 31 Dec 2037 23:55:55 GMT");
  CHECK(date("Sun,  9 Dec 2012 13:42:05 GMT") == "Sun, 09 Dec 2012 13:42:05 GMT");
  CHECK(date("Wed Dec 12 2007 08:44:07 GMT-0500 (EST)") == "Wed, 12 Dec 2007 08:44:07 GMT");
  CHECK(date("Mon, 01-Jan-2011 00: 00:00 GMT") == "none");
  CHECK(date("Wednesday, 01-Jan-10 0:0:00 GMT") == "Fri, 01 Jan 2010 00:00:00 GMT");
  CHECK(date("Thu, 10 Dec 2009 13:57:2 GMT") == "Thu, 10 Dec 2009 13:57:02 GMT");
}

TEST_CASE("a date that is none is not guessed") {
  for (const char* text : {"", "tomorrow", "01 Jan 2010", "00:00:00 01 2010", "00:00:00 Jan 2010",
                           "00:00:00 01 Jan", "24:00:00 01 Jan 2010", "00:60:00 01 Jan 2010",
                           "00:00:60 01 Jan 2010", "00:00:00 00 Jan 2010", "00:00:00 32 Jan 2010",
                           "00:00:00 30 Feb 2012", "00:00:00 29 Feb 2011", "00:00:00 01 Jan 1600",
                           "00:00:00 01 Jan 20100", "000:00:00 01 Jan 2010"})
    CHECK_MESSAGE(date(text) == "none", text);
  CHECK(date("00:00:00 29 Feb 2012") == "Wed, 29 Feb 2012 00:00:00 GMT");
  CHECK(date("00:00:00 01 Jan 1601") == "Mon, 01 Jan 1601 00:00:00 GMT");
  CHECK(date("1 januar 69 1:2:3abc") == "Tue, 01 Jan 2069 01:02:03 GMT");
  CHECK(date("1 jan 70 1:2:3") == "Thu, 01 Jan 1970 01:02:03 GMT");
}

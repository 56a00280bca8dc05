#include "../../src/aio/http/proxy.hpp"

#include <aio/http/errors.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

using aio::http::InvalidURL;
using aio::http::detail::parse_url;
using aio::http::detail::proxy_from_environment;

namespace {

// The environment has these and no others, while this lives.
class Environment {
 public:
  Environment(std::initializer_list<std::pair<const char*, const char*>> variables) {
    clear();
    for (const auto& [name, value] : variables) setenv(name, value, 1);
  }
  ~Environment() { clear(); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  static void clear() {
    for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy",
                             "ALL_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"})
      unsetenv(name);
  }
};

std::string proxy_of(const std::string& url) {
  const auto proxy = proxy_from_environment(parse_url(url));
  return proxy ? proxy->str() : "";
}

bool without(const char* list, const std::string& url) {
  const Environment environment{{"all_proxy", "http://p:1"}, {"no_proxy", list}};
  return proxy_of(url).empty();
}

}  // namespace

TEST_CASE("each scheme has its proxy") {
  const Environment environment{{"http_proxy", "http://a:1"}, {"https_proxy", "http://u:p@b:2"}};
  CHECK(proxy_of("http://x/") == "http://a:1/");
  CHECK(proxy_of("ws://x/") == "http://a:1/");
  CHECK(proxy_of("https://x/") == "http://u:p@b:2/");
  CHECK(proxy_of("wss://x/") == "http://u:p@b:2/");
}

TEST_CASE("all_proxy is for what has none of its own, and an empty one is none") {
  const Environment environment{
      {"all_proxy", "https://a"}, {"https_proxy", "b:3128"}, {"http_proxy", ""}};
  CHECK(proxy_of("http://x/") == "https://a/");
  CHECK(proxy_of("https://x/") == "http://b:3128/");
  const Environment none{};
  CHECK(proxy_of("http://x/") == "");
}

TEST_CASE("lower case goes before upper case") {
  const Environment environment{
      {"https_proxy", "a"}, {"HTTPS_PROXY", "b"}, {"HTTP_PROXY", "c"}, {"ALL_PROXY", "d"}};
  CHECK(proxy_of("https://x/") == "http://a/");
  CHECK(proxy_of("http://x/") == "http://c/");
}

TEST_CASE("a request's Proxy header cannot name the proxy of a CGI program") {
  const Environment environment{
      {"HTTP_PROXY", "evil"}, {"REQUEST_METHOD", "GET"}, {"HTTPS_PROXY", "good"}};
  CHECK(proxy_of("http://x/") == "");
  CHECK(proxy_of("https://x/") == "http://good/");
  setenv("http_proxy", "good", 1);
  CHECK(proxy_of("http://x/") == "http://good/");
}

TEST_CASE("a proxy that is none is refused") {
  const Environment environment{{"http_proxy", "http://u:secret@a:b"}, {"https_proxy", "ws://a"}};
  CHECK_THROWS_WITH_AS(proxy_of("http://x/"), "a URL must keep to RFC 3986: 'http://...@a:b'",
                       InvalidURL);
  CHECK_THROWS_WITH_AS(proxy_of("https://x/"), "a proxy's scheme must be http or https: 'ws://a'",
                       InvalidURL);
}

TEST_CASE("no_proxy names hosts, and with them what is below") {
  for (const char* list :
       {"example.com", ".example.com", "a, EXAMPLE.com", "a example.com b", "*"}) {
    CHECK_MESSAGE(without(list, "http://example.com/"), list);
    CHECK_MESSAGE(without(list, "https://www.example.com:8443/"), list);
  }
  for (const char* list : {"example.com", ".example.com", "", ",", ".", "com.", "ww.example.com"})
    CHECK_MESSAGE(!without(list, "http://badexample.com/"), list);
  const Environment upper_case{{"http_proxy", "p"}, {"NO_PROXY", "a"}};
  CHECK(proxy_of("http://a/") == "");
  CHECK(proxy_of("http://b/") == "http://p/");
}

TEST_CASE("no_proxy can name a port") {
  CHECK(without("example.com:8080", "http://www.example.com:8080/"));
  CHECK_FALSE(without("example.com:8080", "http://example.com/"));
  CHECK(without("example.com:443", "https://example.com/"));
  CHECK_FALSE(without("example.com:x", "http://example.com/"));
  CHECK(without("[::1]:81", "http://[::1]:81/"));
  CHECK_FALSE(without("[::1]:81", "http://[::1]/"));
}

TEST_CASE("no_proxy can name addresses, and ranges of them") {
  CHECK(without("127.0.0.1", "http://127.0.0.1:99/"));
  CHECK_FALSE(without("7.0.0.1", "http://127.0.0.1/"));
  CHECK_FALSE(without("0.0.1", "http://127.0.0.1/"));
  CHECK(without("::1", "http://[0:0::1]/"));
  CHECK(without("[::1]", "http://[::1]/"));
  CHECK(without("10.0.0.0/8", "http://10.255.1.2/"));
  CHECK_FALSE(without("10.0.0.0/8", "http://11.0.0.1/"));
  CHECK(without("10.128.0.0/9", "http://10.128.0.1/"));
  CHECK_FALSE(without("10.128.0.0/9", "http://10.127.0.1/"));
  CHECK(without("0.0.0.0/0", "http://10.127.0.1/"));
  CHECK_FALSE(without("0.0.0.0/0", "http://[::1]/"));
  CHECK(without("fe80::/10", "http://[fe80::1]/"));
  for (const char* bad : {"10.0.0.0/", "10.0.0.0/x", "10.0.0.0/33", "10.0.0.0/-1", "a/8"})
    CHECK_MESSAGE(!without(bad, "http://10.0.0.0/"), bad);
}

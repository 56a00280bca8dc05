// A URL that is taken is what it says it is, and holds nothing that would end a line.

#include "../../src/aio/http/url.hpp"

#include "fuzz.hpp"

#include <aio/http/errors.hpp>

#include <algorithm>

namespace {

using aio::http::InvalidURL;
using aio::http::detail::join;
using aio::http::detail::parse_url;
using aio::http::detail::Url;

bool visible(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

void check(const Url& url) {
  fuzz::require(!url.host.empty() && url.port != 0, "there is a host and a port");
  fuzz::require(url.target.starts_with('/'), "the target is a path");
  fuzz::require(visible(url.str()) && visible(url.authority()), "all can stand in a message");
  const Url again = parse_url(url.str());
  fuzz::require_equal(url.str(), again.str(), "a URL is read as it is written");
  fuzz::require_equal(url.user, again.user, "so is its user");
  fuzz::require_equal(url.password, again.password, "so is its password");
  fuzz::require_equal(url.origin(), join(url, "/x").origin(), "a path stays with its host");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text = fuzz::Input(bytes, size).rest();
  try {
    check(parse_url(text));
  } catch (const InvalidURL& error) {
    fuzz::require(std::string(error.what()).find('\n') == std::string::npos, "a message is a line");
  }
  static const Url base = parse_url("http://joe:pw@[::1]:81/b/c/d;p?q");
  try {
    check(join(base, text));
  } catch (const InvalidURL&) {
  }
  return 0;
}

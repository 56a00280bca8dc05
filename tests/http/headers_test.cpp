#include <aio/http/headers.hpp>

#include <doctest/doctest.h>

#include <stdexcept>

using aio::http::Headers;

namespace {

std::string text(const Headers& headers) {
  std::string all;
  for (const auto& [name, value] : headers) all += name + "=" + value + ";";
  return all;
}

}  // namespace

TEST_CASE("names are found in any case, values stay as they are") {
  Headers headers{{"Content-Type", "text/Plain"}};
  CHECK(headers.get("content-type") == "text/Plain");
  CHECK(headers.contains("CONTENT-TYPE"));
  CHECK(headers.get("content") == std::nullopt);
}

TEST_CASE("fields keep their order, and may come more than once") {
  Headers headers;
  headers.add("Set-Cookie", "a=1");
  headers.add("X", "y");
  headers.add("set-cookie", "b=2");
  CHECK(text(headers) == "Set-Cookie=a=1;X=y;set-cookie=b=2;");
  CHECK(headers.get("Set-Cookie") == "a=1");
  CHECK(headers.get_all("SET-COOKIE") == std::vector<std::string>{"a=1", "b=2"});
  CHECK(headers.size() == 3);
}

TEST_CASE("set takes the place of the first one and of all others") {
  Headers headers{{"A", "1"}, {"B", "2"}, {"a", "3"}};
  headers.set("a", "4");
  CHECK(text(headers) == "A=4;B=2;");
  headers.set("C", "5");
  CHECK(text(headers) == "A=4;B=2;C=5;");
}

TEST_CASE("remove takes all of a name, and says whether there was one") {
  Headers headers{{"A", "1"}, {"B", "2"}, {"a", "3"}};
  CHECK(headers.remove("A"));
  CHECK_FALSE(headers.remove("A"));
  CHECK(text(headers) == "B=2;");
}

TEST_CASE("no field can smuggle in another one") {
  Headers headers;
  CHECK_THROWS_AS(headers.set("X", "a\r\nY: b"), std::invalid_argument);
  CHECK_THROWS_AS(headers.add("X", "a\nb"), std::invalid_argument);
  CHECK_THROWS_AS(headers.add("X", std::string("a\0b", 3)), std::invalid_argument);
  CHECK_THROWS_WITH_AS(headers.add("X Y", "a"), "a header's name must be a token: 'X Y'",
                       std::invalid_argument);
  CHECK_THROWS_AS(headers.add("", "a"), std::invalid_argument);
  CHECK_THROWS_AS(headers.add("X:", "a"), std::invalid_argument);
  CHECK(headers.empty());
  headers.add("X", "caf\xc3\xa9 \t!");  // what else there may be is opaque
  CHECK(headers.size() == 1);
}

// What a request says and what a response gives, against our own server.

#include "client_support.hpp"

#include <thread>

using aio::task;
using test::count;
using test::holds;
using test::message_of;
using test::Served;
using test::url_of;

namespace http = aio::http;
namespace web = aio::web;

namespace {

// Tells what came: "POST /path?query Type: body".
web::Application telling() {
  web::Application app;
  app.router().add_route("*", "/{tail:.*}", [](web::Request& request) -> task<web::Response> {
    const std::string body = co_await request.read();
    web::Response response(request.method() + " " + request.target() + " " +
                           request.headers().get("Content-Type").value_or("-") + ": " + body);
    response.headers().add("X-Method", request.method());
    co_return response;
  });
  return app;
}

std::string head_of(const std::vector<std::string>& requests, const std::string& name) {
  return requests.empty() ? "no request" : test::header(requests.back(), name);
}

}  // namespace

TEST_CASE("each method is sent, in both faces") {
  const Served served(telling());
  green::http::ClientSession session;
  const std::string url = url_of(served, "/a");
  CHECK(session.get(url).text() == "GET /a -: ");
  CHECK(session.post(url).text() == "POST /a -: ");
  CHECK(session.put(url).text() == "PUT /a -: ");
  CHECK(session.patch(url).text() == "PATCH /a -: ");
  CHECK(session.delete_(url).text() == "DELETE /a -: ");
  CHECK(session.options(url).text() == "OPTIONS /a -: ");
  CHECK(session.head(url).text() == "");
  CHECK(session.head(url).headers().get("X-Method") == "HEAD");
  CHECK(session.request("SEARCH", url).text() == "SEARCH /a -: ");
  CHECK(session.request("get", url).text() == "GET /a -: ");
  CHECK(session.request("brew", url).text() == "BREW /a -: ");
  const auto fetch = [](std::string address) -> task<std::string> {
    http::ClientSession own;
    http::ClientResponse response = co_await own.get(address);
    std::string text = co_await response.text();
    co_await own.close();
    co_return text;
  };
  CHECK(green::awaitlet(fetch(url)) == "GET /a -: ");
  CHECK(green::http::urlopen(url).read() == "GET /a -: ");
  const auto both = [&session](std::string address) -> task<std::string> {
    green::http::ClientResponse posted = co_await session.post_async(address);
    green::http::ClientResponse deleted = co_await session.delete_async(address);
    const std::string first = co_await posted.text_async();
    const std::string second = co_await deleted.read_chunk_async();
    co_return first + second;
  };
  CHECK(green::awaitlet(both(url)) == "POST /a -: DELETE /a -: ");
  CHECK(green::awaitlet(green::awaitlet(session.async().get(url)).text()) == "GET /a -: ");
}

TEST_CASE("bodies: data, json, a form, parts") {
  const Served served(telling());
  green::http::ClientSession session;
  http::RequestOptions data;
  data.data = std::string("a\0b", 3);
  CHECK(session.post(url_of(served), data).text() ==
        "POST / application/octet-stream: " + std::string("a\0b", 3));
  data.headers.add("content-type", "text/csv");
  CHECK(holds(session.post(url_of(served), data).text(), "POST / text/csv: "));
  http::RequestOptions json;
  json.json = http::json{{"a", 1}};
  CHECK(session.put(url_of(served), json).text() == "PUT / application/json: {\"a\":1}");
  http::RequestOptions form;
  form.form = {{"a b", "c&d"}, {"e", "f"}};
  CHECK(session.post(url_of(served), form).text() ==
        "POST / application/x-www-form-urlencoded: a+b=c%26d&e=f");
  http::RequestOptions parts;
  parts.multipart.emplace_back("field", "value");
  parts.multipart.emplace_back("file", "contents", "a.txt", "text/plain");
  const std::string told = session.post(url_of(served), parts).text();
  CHECK(holds(told, "POST / multipart/form-data; boundary="));
  CHECK(holds(told, "filename=\"a.txt\""));
  CHECK(holds(told, "\r\n\r\ncontents\r\n"));
}

TEST_CASE("a large body is sent while the response is awaited") {
  const Served served([] {
    web::Application app;
    app.router().add_post("/", [](web::Request& request) -> task<web::Response> {
      std::size_t bytes = 0;
      for (std::string piece; !(piece = co_await request.read_chunk()).empty();)
        bytes += piece.size();
      co_return web::Response(std::to_string(bytes));
    });
    return app;
  }());
  green::http::ClientSession session;
  http::RequestOptions options;
  options.data.assign(20'000'000, 'x');
  CHECK(session.post(url_of(served), options).text() == "20000000");
  CHECK(session.post(url_of(served), options).text() == "20000000");
}

TEST_CASE("a body is made piece by piece, in chunks or of a length that is told") {
  const Served served(telling());
  green::http::ClientSession session;
  const auto three = [] {
    return [left = 3]() mutable -> task<std::string> {
      co_await aio::sleep(0.001);
      co_return left-- > 0 ? std::string(1, static_cast<char>('a' + left)) : std::string();
    };
  };
  http::RequestOptions options;
  options.body = three();
  CHECK(session.post(url_of(served), options).text() == "POST / application/octet-stream: cba");
  options.body = three();
  options.headers.add("Content-Length", "3");
  CHECK(session.post(url_of(served), options).text() == "POST / application/octet-stream: cba");
  options.body = three();
  options.headers.set("Content-Length", "4");
  CHECK_THROWS_AS(session.post(url_of(served), options), std::invalid_argument);
  options.body = []() -> task<std::string> { co_return "abc"; };
  options.headers.set("Content-Length", "2");
  CHECK_THROWS_AS(session.post(url_of(served), options), std::invalid_argument);
}

TEST_CASE("what makes a body may block the green thread") {
  const Served served(telling());
  green::http::ClientSession session;
  http::RequestOptions options;
  int left = 2;
  options.body = [&left]() -> task<std::string> {
    green::sleep(0.001);
    co_return left-- > 0 ? "ab" : "";
  };
  CHECK(holds(session.post(url_of(served), options).text(), ": abab"));
}

TEST_CASE("params are added to the query that is there") {
  const Served served(telling());
  green::http::ClientSession session;
  http::RequestOptions options;
  options.params = {{"q", "a b"}, {"q", "\xc3\xa9"}};
  CHECK(holds(session.get(url_of(served, "/p"), options).text(), "GET /p?q=a+b&q=%C3%A9 "));
  CHECK(
      holds(session.get(url_of(served, "/p?x=1#f"), options).text(), "GET /p?x=1&q=a+b&q=%C3%A9 "));
  CHECK(session.get(url_of(served, "/p?x=1#f"), options).url() ==
        url_of(served, "/p?x=1&q=a+b&q=%C3%A9"));
}

TEST_CASE("the session's headers are sent, unless the request has its own") {
  std::vector<std::string> requests;
  const test::Answering server(test::reply("ok"), &requests);
  http::SessionOptions defaults;
  defaults.headers = {{"X-One", "1"}, {"User-Agent", "me"}};
  green::http::ClientSession session(defaults);
  session.get(server.url());
  CHECK(head_of(requests, "X-One") == "1");
  CHECK(head_of(requests, "User-Agent") == "me");
  CHECK(head_of(requests, "Host") == "127.0.0.1:" + std::to_string(server.port()));
  CHECK(head_of(requests, "Accept-Encoding") == "gzip, deflate, br");
  http::RequestOptions options;
  options.headers = {{"x-one", "2"}, {"Host", "other"}};
  session.get(server.url(), options);
  CHECK(head_of(requests, "x-one") == "2");
  CHECK(head_of(requests, "Host") == "other");
  CHECK(count(requests.back(), "-One: ") + count(requests.back(), "-one: ") == 1);
}

TEST_CASE("the body can be had again, and as what it is") {
  const test::Answering server(test::reply("{\"a\": [1, 2]}"));
  green::http::ClientSession session;
  green::http::ClientResponse response = session.get(server.url());
  CHECK(response.read() == "{\"a\": [1, 2]}");
  CHECK(response.text() == "{\"a\": [1, 2]}");
  CHECK(response.json()["a"][1] == 2);
  CHECK(response.read_chunk() == "");
  const test::Answering other(test::reply("no json"));
  CHECK(holds(message_of<http::ClientPayloadError>([&] { session.get(other.url()).json(); }),
              "'no json'"));
}

TEST_CASE("a response is read as it comes") {
  web::Application app;
  green::Event<> go;
  app.router().add_get("/", [&](web::Request& request) -> task<web::StreamResponse> {
    web::StreamResponse response;
    co_await response.prepare(request);
    co_await response.write("first");
    co_await go.wait_async();
    co_await response.write("second");
    co_return response;
  });
  const Served served(app);
  green::http::ClientSession session;
  green::http::ClientResponse response = session.get(url_of(served));
  CHECK(response.read_chunk() == "first");
  go.send();
  CHECK(response.read_chunk() == "second");
  CHECK(response.read_chunk() == "");
  CHECK(response.read_chunk() == "");
}

TEST_CASE("a status of 400 and above is no error until it is asked for") {
  const test::Answering server(test::reply("gone", "", "410 Long Gone"));
  green::http::ClientSession session;
  green::http::ClientResponse response = session.get(server.url("/x"));
  CHECK(response.status() == 410);
  CHECK(response.reason() == "Long Gone");
  CHECK(response.text() == "gone");
  CHECK(message_of<http::ClientResponseError>([&] { response.raise_for_status(); }) ==
        "410 Long Gone: " + server.url("/x"));
  try {
    response.raise_for_status();
  } catch (const http::ClientResponseError& error) {
    CHECK(error.status == 410);
  }
  const test::Answering fine(test::reply("", "", "399 Fine"));
  CHECK_NOTHROW(session.get(fine.url()).raise_for_status());
}

TEST_CASE("a user and a password go into the header, from the URL too, and not into url()") {
  std::vector<std::string> requests;
  const test::Answering server(test::reply("ok"), &requests);
  green::http::ClientSession session;
  http::RequestOptions options;
  options.auth = {"Aladdin", "open sesame"};
  session.get(server.url(), options);
  CHECK(head_of(requests, "Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  const std::string with_user =
      "http://Aladdin:open%20sesame@127.0.0.1:" + std::to_string(server.port()) + "/";
  CHECK(session.get(with_user).url() == server.url());
  CHECK(head_of(requests, "Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK_THROWS_AS(session.get(with_user, options), std::invalid_argument);
  options.headers.add("Authorization", "Bearer x");
  CHECK_THROWS_AS(session.get(server.url(), options), std::invalid_argument);
  options.headers.clear();
  options.auth->first = "a:b";
  CHECK_THROWS_AS(session.get(server.url(), options), std::invalid_argument);
}

TEST_CASE("cookies are kept, and those of a request go before them") {
  std::vector<std::string> requests;
  const test::Answering server(test::reply("ok", "Set-Cookie: a=1\r\nSet-Cookie: b=2; Path=/b\r\n"),
                               &requests);
  green::http::ClientSession session;
  session.get(server.url());
  CHECK(head_of(requests, "Cookie") == "");
  session.get(server.url());
  CHECK(head_of(requests, "Cookie") == "a=1");
  session.get(server.url("/b/c"));
  CHECK(head_of(requests, "Cookie") == "b=2; a=1");
  http::RequestOptions options;
  options.cookies = {{"a", "own"}, {"c", "3"}};
  session.get(server.url(), options);
  CHECK(head_of(requests, "Cookie") == "a=own; c=3");
  options.headers.add("Cookie", "d=4");
  session.get(server.url(), options);
  CHECK(head_of(requests, "Cookie") == "d=4; a=own; c=3");
  CHECK(count(requests.back(), "Cookie: ") == 1);
  green::http::ClientSession other;
  other.get(server.url());
  CHECK(head_of(requests, "Cookie") == "");
}

TEST_CASE("nothing can be smuggled into a request") {
  std::vector<std::string> requests;
  const test::Answering server(test::reply("ok"), &requests);
  green::http::ClientSession session;
  CHECK_THROWS_AS(session.request("GET /x HTTP/1.1\r\nA: b\r\n\r\nGET", server.url()),
                  std::invalid_argument);
  CHECK_THROWS_AS(session.request("", server.url()), std::invalid_argument);
  CHECK_THROWS_AS(session.request("CONNECT", server.url()), std::invalid_argument);
  CHECK_THROWS_AS(session.get(server.url("/a\r\nX: y")), http::InvalidURL);
  http::RequestOptions options;
  CHECK_THROWS_AS(options.headers.add("X", "a\r\nY: b"), std::invalid_argument);
  const auto refuses = [&](auto change) {
    http::RequestOptions changed;
    change(changed);
    CHECK_THROWS_AS(session.post(server.url(), changed), std::invalid_argument);
  };
  refuses([](auto& some) { some.cookies["a"] = "b\r\nX: y"; });
  refuses([](auto& some) { some.cookies["a"] = "b; c=d"; });
  refuses([](auto& some) { some.cookies["a=b"] = "c"; });
  refuses([](auto& some) { some.headers.add("Content-Length", "7"); });
  refuses([](auto& some) { some.headers.add("Transfer-Encoding", "chunked"); });
  refuses([](auto& some) {
    some.data = "a";
    some.json = 1;
  });
  CHECK(requests.empty());
  options.params = {{"a", "b\r\nX: y"}};
  session.get(server.url(), options);
  CHECK(holds(requests.back(), "GET /?a=b%0D%0AX%3A+y HTTP/1.1\r\n"));
}

TEST_CASE("URLs that cannot be asked name themselves") {
  green::http::ClientSession session;
  for (const char* bad : {"", "nothing", "ftp://a/", "http://", "http://a:99999/", "/path"})
    CHECK_THROWS_AS(session.get(bad), http::InvalidURL);
  CHECK(holds(message_of<http::InvalidURL>([&] { session.get("ftp://a/b"); }), "ftp"));
}

TEST_CASE("a session with a base URL takes references to it") {
  const Served served(telling());
  http::SessionOptions options;
  options.base_url = url_of(served, "/api/");
  green::http::ClientSession session(options);
  CHECK(session.get("users?x=1").text() == "GET /api/users?x=1 -: ");
  CHECK(session.get("/root").text() == "GET /root -: ");
  CHECK(session.get(url_of(served, "/whole")).text() == "GET /whole -: ");
  options.base_url = "nonsense";
  CHECK_THROWS_AS(green::http::ClientSession{options}, http::InvalidURL);
}

TEST_CASE("a closed session, and one of another thread, refuse") {
  const Served served(telling());
  green::http::ClientSession session;
  session.get(url_of(served)).read();
  std::thread([&] {
    CHECK_THROWS_AS(aio::run(session.async().get(url_of(served))), std::logic_error);
  }).join();
  CHECK_FALSE(session.closed());
  session.close();
  session.close();
  CHECK(session.closed());
  CHECK_THROWS_AS(session.get(url_of(served)), std::logic_error);
  http::SessionOptions options;
  options.limit = -1;
  CHECK_THROWS_AS(green::http::ClientSession{options}, std::invalid_argument);
}

TEST_CASE("an address of IPv6 stands in brackets") {
  std::vector<std::string> requests;
  const test::Scripted server(
      [&](green::Socket& socket, int) {
        requests.push_back(test::receive_request(socket));
        socket.sendall(test::reply("six"));
      },
      green::listen(green::Address("::1", 0)));
  const std::string host = "[::1]:" + std::to_string(server.port());
  green::http::ClientSession session;
  CHECK(session.get("http://" + host + "/").read() == "six");
  CHECK(head_of(requests, "Host") == host);
}

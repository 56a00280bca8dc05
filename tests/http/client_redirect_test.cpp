// Redirects, by aiohttp's rules.

#include "client_support.hpp"

using aio::task;
using test::Answering;
using test::header;
using test::holds;
using test::message_of;
using test::receive_request;
using test::reply;
using test::Scripted;

namespace http = aio::http;

namespace {

std::string redirect(const std::string& location, int status = 302) {
  return reply("elsewhere", "Location: " + location + "\r\n", std::to_string(status) + " Found");
}

// Redirects what is asked of /STATUS to /end, and notes what it was asked.
class Redirecting : public Scripted {
 public:
  Redirecting()
      : Scripted([this](green::Socket& socket, int) {
          for (std::string request; !(request = receive_request(socket)).empty();) {
            requests.push_back(request);
            const std::string target = request.substr(request.find(' ') + 1, 4);
            const bool carries = !request.starts_with("HEAD ");
            const std::string bytes =
                target == "/end" ? reply("end") : redirect("/end", std::stoi(target.substr(1)));
            socket.sendall(carries ? bytes : bytes.substr(0, bytes.find("\r\n\r\n") + 4));
          }
        }) {}
  // What the last request was: method, length of its body, type.
  std::string last() const {
    const std::string& request = requests.back();
    return request.substr(0, request.find(' ')) + " " +
           std::to_string(request.size() - request.find("\r\n\r\n") - 4) + " " +
           header(request, "Content-Type");
  }
  std::vector<std::string> requests;
};

}  // namespace

TEST_CASE("what becomes of the method and of the body") {
  const Redirecting server;
  green::http::ClientSession session;
  const auto after = [&](const std::string& method, int status) {
    http::RequestOptions options;
    if (method != "HEAD" && method != "GET") options.json = http::json("abc");
    session.request(method, server.url("/" + std::to_string(status)), options).read();
    return server.last();
  };
  for (const int status : {301, 302, 303}) CHECK(after("POST", status) == "GET 0 ");
  for (const int status : {307, 308}) CHECK(after("POST", status) == "POST 5 application/json");
  for (const int status : {301, 302, 307, 308})
    CHECK(after("PUT", status) == "PUT 5 application/json");
  CHECK(after("PUT", 303) == "GET 0 ");
  for (const int status : {301, 302, 303, 307, 308}) {
    CHECK(after("GET", status) == "GET 0 ");
    CHECK(after("HEAD", status) == "HEAD 0 ");
  }
  CHECK(server.connections == 1);
}

TEST_CASE("redirects are followed on the same connection, and url() is where they end") {
  const Redirecting server;
  green::http::ClientSession session;
  green::http::ClientResponse response = session.get(server.url("/302?a=b"));
  CHECK(response.read() == "end");
  CHECK(response.url() == server.url("/end"));
  CHECK(server.connections == 1);
}

TEST_CASE("a redirect may be looked at instead of followed") {
  const Redirecting server;
  green::http::ClientSession session;
  http::RequestOptions options;
  options.allow_redirects = false;
  green::http::ClientResponse response = session.get(server.url("/307"), options);
  CHECK(response.status() == 307);
  CHECK(response.headers().get("location") == "/end");
  CHECK(response.read() == "elsewhere");
  const Answering nowhere(reply("here", "", "302 Found"));
  CHECK(session.get(nowhere.url()).read() == "here");
  const Answering unchanged(reply("", "Location: /end\r\n", "300 Multiple Choices"));
  CHECK(session.get(unchanged.url()).status() == 300);
}

TEST_CASE("no more redirects than are allowed") {
  int asked = 0;
  const Scripted server([&](green::Socket& socket, int) {
    for (std::string request; !(request = receive_request(socket)).empty();) {
      ++asked;
      const int left = std::stoi(request.substr(5));
      socket.sendall(left == 0 ? reply("end") : redirect("/" + std::to_string(left - 1)));
    }
  });
  green::http::ClientSession session;
  CHECK(session.get(server.url("/10")).read() == "end");
  asked = 0;
  CHECK_THROWS_AS(session.get(server.url("/11")), http::TooManyRedirects);
  CHECK(asked == 11);
  http::RequestOptions options;
  options.max_redirects = 0;
  CHECK_THROWS_AS(session.get(server.url("/1"), options), http::TooManyRedirects);
  CHECK(session.get(server.url("/0"), options).read() == "end");
}

TEST_CASE("secrets stay with the origin, cookies of the session go where they belong") {
  std::vector<std::string> there;
  const Answering other(reply("end"), &there);
  std::vector<std::string> here;
  Scripted* self = nullptr;
  Scripted server([&](green::Socket& socket, int) {
    for (std::string request; !(request = receive_request(socket)).empty();) {
      here.push_back(request);
      const bool away = holds(request, "GET /away");
      socket.sendall(holds(request, "GET /end") ? reply("end")
                     : away                     ? redirect(other.url("/there"))
                                                : redirect(self->url("/end")));
    }
  });
  self = &server;
  green::http::ClientSession session;
  http::RequestOptions options;
  options.auth = {"user", "secret"};
  options.cookies = {{"own", "1"}};
  options.headers = {{"X-Other", "2"}};
  session.get(server.url("/same"), options).read();
  CHECK(header(here.back(), "Authorization") == "Basic dXNlcjpzZWNyZXQ=");
  CHECK(header(here.back(), "Cookie") == "own=1");
  options.headers.add("Cookie", "given=3");
  session.get(server.url("/away"), options).read();
  CHECK(header(there.back(), "Authorization") == "");
  CHECK(header(there.back(), "Cookie") == "");
  CHECK(header(there.back(), "X-Other") == "2");
  http::SessionOptions defaults;
  defaults.headers = {{"Authorization", "Bearer token"}};
  green::http::ClientSession bearer(defaults);
  bearer.get(server.url("/away")).read();
  CHECK(header(here.back(), "Authorization") == "Bearer token");
  CHECK(header(there.back(), "Authorization") == "");
}

TEST_CASE("cookies set by a redirect are sent where it leads") {
  std::vector<std::string> requests;
  const Scripted server([&](green::Socket& socket, int) {
    for (std::string request; !(request = receive_request(socket)).empty();) {
      requests.push_back(request);
      socket.sendall(holds(request, "GET /end")
                         ? reply("end")
                         : reply("", "Location: /end\r\nSet-Cookie: login=1\r\n", "303 See Other"));
    }
  });
  green::http::ClientSession session;
  session.post(server.url("/login")).read();
  CHECK(header(requests.back(), "Cookie") == "login=1");
}

TEST_CASE("a body that was made piece by piece cannot follow a redirect, but may be left behind") {
  const Redirecting server;
  green::http::ClientSession session;
  const auto post = [&](int status) {
    http::RequestOptions options;
    options.body = [left = 1]() mutable -> task<std::string> { co_return left-- > 0 ? "abc" : ""; };
    return session.post(server.url("/" + std::to_string(status)), options).read();
  };
  CHECK(post(302) == "end");
  CHECK(holds(message_of<http::ClientError>([&] { post(307); }), "307"));
}

TEST_CASE("a redirect to nowhere names it") {
  const Answering file(redirect("file:///etc/passwd"));
  const Answering nothing(redirect("http://"));
  green::http::ClientSession session;
  CHECK(holds(message_of<http::InvalidURL>([&] { session.get(file.url()); }), "file"));
  CHECK_THROWS_AS(session.get(nothing.url()), http::InvalidURL);
}

TEST_CASE("the body of a redirect is skipped, or, if it is long, cut") {
  const std::string rest(1'000'000, 'x');
  const Scripted server([&](green::Socket& socket, int) {
    for (std::string request; !(request = receive_request(socket)).empty();) {
      if (holds(request, "GET /end")) {
        socket.sendall(reply("end"));
      } else {
        socket.sendall("HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 1000000\r\n\r\n");
        socket.sendall(rest);
      }
    }
  });
  green::http::ClientSession session;
  CHECK(session.get(server.url()).read() == "end");
  CHECK(server.connections == 2);
}

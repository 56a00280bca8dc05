// What a handler may answer, and what of it goes out.

#include "../standard_error.hpp"
#include "served.hpp"

#include <green/event.hpp>

#include <functional>
#include <string>
#include <utility>

using aio::task;
using test::count;
using test::get_root;
using test::header;
using test::Served;

namespace web = aio::web;

namespace {

using Answer = std::function<web::Response(web::Request&)>;

// All that is said to a request, and to one that asks for "/" after it.
std::string answer(Answer handler, const std::string& method = "GET") {
  web::Application app;
  app.router().add_route("*", "/it", std::move(handler));
  app.router().add_get("/", [](web::Request&) { return web::Response("next"); });
  const Served served(app);
  return served.talk(method + " /it HTTP/1.1\r\nHost: a\r\n\r\n" + get_root);
}

web::Response with(const std::string& name, const std::string& value, int status = 200) {
  web::Response response("hello", status);
  response.headers().add(name, value);
  return response;
}

// The report of the 500 that a response ends in, which leaves the connection usable.
std::string refused(const Answer& handler, const std::string& method = "GET") {
  test::StandardError reported;
  const std::string response = answer(handler, method);
  CHECK(response.starts_with("HTTP/1.1 500 "));
  CHECK(count(response, "HTTP/1.1 200") == 1);
  CHECK(response.ends_with("\r\n\r\nnext"));
  CHECK(count(response, "Content-Length") == 2);
  CHECK(count(response, "Transfer-Encoding") == 0);
  return reported.text();
}

bool says(const std::string& report, const std::string& what) {
  INFO(report);
  return report.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a Content-Length that is not the body's never goes out") {
  CHECK(says(refused([](web::Request&) { return with("Content-Length", "3"); }),
             "a response with Content-Length: 3 and a body of 5 bytes"));
  for (const char* wrong : {"7", "five", "-5", "+5", "5, 5", "", "99999999999999999999"})
    CHECK(says(refused([&](web::Request&) { return with("content-length", wrong); }),
               "Content-Length"));
  CHECK(says(refused([](web::Request&) {
               web::Response response = with("Content-Length", "5");
               response.headers().add("Content-Length", "5");
               return response;
             }),
             "no number: '5', '5'"));
  const std::string right = answer([](web::Request&) { return with("Content-Length", "5"); });
  CHECK(header(right, "Content-Length") == "5");
  CHECK(count(right, "Content-Length") == 2);
  CHECK(count(right, "HTTP/1.1 200 OK") == 2);
}

TEST_CASE("how a body is encoded is not for the handler to say") {
  CHECK(says(refused([](web::Request&) { return with("Transfer-Encoding", "chunked"); }),
             "set Transfer-Encoding: chunked"));
  CHECK(says(refused([](web::Request&) { return with("Transfer-Encoding", "chunked"); }, "HEAD"),
             "set Transfer-Encoding: chunked"));
  CHECK(says(refused([](web::Request&) -> web::Response {
               web::StreamResponse stream;
               stream.headers().set("Transfer-Encoding", "chunked");
               return stream;
             }),
             "set Transfer-Encoding: chunked"));
  CHECK(says(refused([](web::Request& request) -> web::Response {
               web::StreamResponse stream;
               stream.headers().set("Content-Length", "many");
               green::awaitlet(stream.prepare(request));
               return stream;
             }),
             "no number: 'many'"));
  CHECK(says(refused([](web::Request&) -> web::Response {
               web::FileResponse file("/proc/self/exe");
               file.headers().set("Transfer-Encoding", "chunked");
               return file;
             }),
             "set Transfer-Encoding: chunked"));
  const std::string thrown = answer([](web::Request&) -> web::Response {
    web::HTTPException error(404);
    error.headers().set("Content-Length", "1");
    error.headers().set("Transfer-Encoding", "chunked");
    throw error;
  });
  CHECK(thrown.starts_with("HTTP/1.1 404 "));
  CHECK(header(thrown, "Content-Length") == "14");
  CHECK(header(thrown, "Transfer-Encoding") == "");
  CHECK(count(thrown, "HTTP/1.1 200") == 1);
}

TEST_CASE("an answer without a body tells its length where that means something") {
  auto handler = [](web::Request&) { return with("Content-Length", "1000"); };
  const std::string head = answer(handler, "HEAD");
  CHECK(header(head, "Content-Length") == "1000");
  CHECK(count(head, "HTTP/1.1 200") == 2);
  const std::string none = answer([](web::Request&) { return with("Content-Length", "5", 204); });
  CHECK(none.starts_with("HTTP/1.1 204 No Content\r\n"));
  CHECK(count(none, "Content-Length") == 1);
  CHECK(count(none, "hello") == 0);
  const std::string same = answer([](web::Request&) { return with("Content-Length", "5", 304); });
  CHECK(header(same, "Content-Length") == "5");
  CHECK(count(same, "hello") == 0);
  CHECK(count(same, "HTTP/1.1 200") == 1);
}

TEST_CASE("a stream keeps to the length that it began with") {
  const std::string response = answer([](web::Request& request) -> web::Response {
    web::StreamResponse stream;
    stream.headers().set("Content-Length", "4");
    green::awaitlet(stream.prepare(request));
    stream.headers().set("Content-Length", "1");
    green::awaitlet(stream.write("abcd"));
    CHECK_THROWS_WITH_AS(green::awaitlet(stream.write("e")),
                         "a StreamResponse of more than its Content-Length: 4",
                         std::invalid_argument);
    return stream;
  });
  CHECK(count(response, "\r\n\r\nabcdHTTP/1.1 200") == 1);
}

TEST_CASE("a response may be kept, and answered again and again") {
  web::Application app;
  app.router().add_get("/", [kept = web::Response("x")](web::Request&) { return kept; });
  web::StreamResponse stream;
  app.router().add_get("/stream", [&](web::Request&) { return stream; });
  const Served served(app);
  CHECK(count(served.talk(get_root + get_root), "\r\n\r\nx") == 2);
  CHECK(served.get("/stream") == "200 0\r\n\r\n");
  test::StandardError reported;
  CHECK(served.get("/stream") == "500 500: Internal Server Error");
  CHECK(says(reported.text(), "a handler returned the StreamResponse to another request"));
}

TEST_CASE("a status that ends no request is a 500") {
  CHECK(says(refused([](web::Request&) { return web::Response("", 101); }),
             "101 is no final status"));
  CHECK(says(refused([](web::Request&) -> web::Response { return web::StreamResponse(100); }),
             "100 is no final status"));
  CHECK(says(refused([](web::Request&) -> web::Response { throw web::HTTPException(103); }),
             "103 is no final status"));
  CHECK(says(refused([](web::Request&) -> web::Response { return web::WebSocketResponse(); }),
             "a WebSocketResponse that it did not prepare"));
}

TEST_CASE(
    "a handler that throws what interrupts, unasked, is a 500, and its connection is closed") {
  web::Application app;
  app.router().add_get("/exit",
                       [](web::Request&) -> web::Response { throw green::GreenletExit(); });
  app.router().add_get("/cancelled", [](web::Request&) -> task<web::Response> {
    throw aio::CancelledError();
    co_return web::Response();
  });
  const Served served(app);
  for (const std::string path : {"/exit", "/cancelled"}) {
    test::StandardError reported;
    const std::string response = served.talk("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(Served::brief(response) == "500 500: Internal Server Error");
    CHECK(header(response, "Connection") == "close");
    CHECK(says(reported.text(), path == "/exit" ? "GreenletExit" : "CancelledError"));
  }
}

TEST_CASE("a status is named as its RFC names it") {
  for (const auto& [status, reason] : {std::pair(200, "OK"),
                                       {203, "Non-Authoritative Information"},
                                       {207, "Multi-Status"},
                                       {226, "IM Used"},
                                       {404, "Not Found"},
                                       {413, "Payload Too Large"},
                                       {414, "URI Too Long"},
                                       {418, "I'm a teapot"},
                                       {505, "HTTP Version Not Supported"}})
    CHECK(answer([&, status = status](web::Request&) {
            return web::Response("", status);
          }).starts_with("HTTP/1.1 " + std::to_string(status) + " " + reason + "\r\n"));
}

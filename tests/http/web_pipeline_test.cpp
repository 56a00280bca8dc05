// Random pipelines of requests on one connection, against an oracle of what has to come back: a
// body that nobody read, a chunk or a HEAD that the two sides count differently would shift the
// answers.

#include "served.hpp"

#include <aio/sleep.hpp>
#include <green/greenpool.hpp>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <uvlet/config.hpp>
#include <vector>

using aio::task;
using test::header;
using test::Served;

namespace web = aio::web;

namespace {

using Random = std::mt19937;

int below(Random& random, int end) {
  return std::uniform_int_distribution<int>(0, end - 1)(random);
}
std::string letters(Random& random, int most) {
  std::string text(static_cast<std::size_t>(below(random, most)), ' ');
  for (char& c : text) c = "ab\r\n0GET /"[below(random, 10)];
  return text;
}

int pipelines() {
  const char* storm = std::getenv("UVLET_STORM");
#if defined(UVLET_ASAN) || defined(UVLET_TSAN)
  constexpr int usual = 1'000;
#else
  constexpr int usual = 10'000;
#endif
  return usual * (storm ? std::atoi(storm) : 1);
}

// Handlers that read a body in whole, in part or not at all, and answer in one piece or several.
web::Application application() {
  web::Application app;
  web::Application::Router& router = app.router();
  router.add_get("/get/{n}", [](web::Request& request) -> task<web::Response> {
    if (request.match_info().at("n").ends_with('7')) co_await aio::sleep(0);
    co_return web::Response("get " + request.match_info().at("n"));
  });
  router.add_get("/stream/{n}", [](web::Request& request) -> task<web::StreamResponse> {
    web::StreamResponse response;
    co_await response.prepare(request);
    co_await response.write("stream ");
    co_await response.write(request.match_info().at("n"));
    co_await response.write_eof();
    co_return response;
  });
  router.add_post("/read/{n}", [](web::Request& request) -> task<web::Response> {
    const std::string body = co_await request.read();
    co_return web::Response("read " + request.match_info().at("n") + " " + body);
  });
  router.add_post("/part/{n}", [](web::Request& request) -> task<web::Response> {
    const std::string piece = co_await request.read_chunk();
    co_return web::Response("part " + request.match_info().at("n"));
  });
  router.add_post("/unread/{n}", [](web::Request& request) {
    return web::Response("unread " + request.match_info().at("n"));
  });
  return app;
}

struct Expected {
  std::string status;
  std::string body;
  bool head = false;  // no body comes, whatever the length says
};

struct Pipeline {
  std::string bytes;
  std::vector<Expected> answers;
};

std::string body_of(const std::string& data, Random& random) {
  if (below(random, 2) == 0)
    return "Content-Length: " + std::to_string(data.size()) + "\r\n\r\n" + data;
  std::string chunks = "Transfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t size =
        std::min(data.size() - at, static_cast<std::size_t>(1 + below(random, 300)));
    char length[20];
    std::snprintf(length, sizeof length, "%zx\r\n", size);
    chunks += length + data.substr(at, size) + "\r\n";
    at += size;
  }
  return chunks + "0\r\n\r\n";
}

// The last request says that it is the last.
Pipeline random_pipeline(Random& random) {
  Pipeline made;
  const int count = 1 + below(random, 8);
  for (int i = 0; i < count; ++i) {
    const std::string n = std::to_string(below(random, 1'000'000));
    const std::string host =
        std::string(" HTTP/1.1\r\nHost: a\r\n") + (i + 1 == count ? "Connection: close\r\n" : "");
    switch (below(random, 7)) {
      case 0:
        made.bytes += "GET /get/" + n + host + "\r\n";
        made.answers.push_back({"200", "get " + n});
        break;
      case 1:
        made.bytes += "HEAD /get/" + n + host + "\r\n";
        made.answers.push_back({"200", "get " + n, true});
        break;
      case 2:
        made.bytes += "GET /stream/" + n + host + "\r\n";
        made.answers.push_back({"200", "stream " + n});
        break;
      case 3: {
        const std::string data = letters(random, 2'000);
        made.bytes += "POST /read/" + n + host + body_of(data, random);
        made.answers.push_back({"200", "read " + n + " " + data});
        break;
      }
      case 4:
        made.bytes += "POST /part/" + n + host + body_of(letters(random, 2'000), random);
        made.answers.push_back({"200", "part " + n});
        break;
      case 5:
        made.bytes += "POST /unread/" + n + host + body_of(letters(random, 2'000), random);
        made.answers.push_back({"200", "unread " + n});
        break;
      default:
        made.bytes += "POST /nowhere/" + n + host + body_of(letters(random, 200), random);
        made.answers.push_back({"404", ""});
    }
  }
  return made;
}

// Takes the answer to one request from the front of `said`; "" for one that is not whole.
std::string take_answer(std::string& said, const Expected& expected) {
  const std::size_t end = said.find("\r\n\r\n");
  if (end == std::string::npos) return "";
  const std::string head = said.substr(0, end + 2);
  said.erase(0, end + 4);
  const std::string status = head.substr(9, 3);
  if (expected.head) {
    const bool right = header(head, "Content-Length") == std::to_string(expected.body.size());
    return right ? status + " " + expected.body : "a HEAD of another length";
  }
  std::string body;
  if (header(head, "Transfer-Encoding").empty()) {
    const std::size_t length = std::strtoul(header(head, "Content-Length").c_str(), nullptr, 10);
    body = said.substr(0, length);
    said.erase(0, length);
  } else {
    for (std::size_t size = 1; size > 0;) {
      const std::size_t line = said.find("\r\n");
      if (line == std::string::npos) return "";
      size = std::strtoul(said.c_str(), nullptr, 16);
      body += said.substr(line + 2, size);
      said.erase(0, line + 2 + size + 2);
    }
  }
  return status + " " + (status == "404" ? "" : body);
}

// Gives what came until the server closed; the bytes go out in pieces.
std::string send_in_pieces(const Served& served, const std::string& bytes, Random& random) {
  green::Socket socket = served.connect();
  auto reading = green::spawn([&] { return test::receive_all(socket); });
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t most = bytes.size() - at;
    const std::size_t size =
        below(random, 3) == 0 ? 1 + static_cast<std::size_t>(below(random, 200)) : most;
    socket.sendall(bytes.substr(at, size));
    at += std::min(size, most);
    if (below(random, 2) == 0) green::sleep(0);
  }
  return reading.wait();
}

// "" if all is as expected.
std::string difference(const Served& served, const Pipeline& pipeline, Random& random) {
  std::string said = send_in_pieces(served, pipeline.bytes, random);
  for (const Expected& expected : pipeline.answers) {
    const std::string got = take_answer(said, expected);
    if (got != expected.status + " " + expected.body)
      return "expected " + expected.status + " " + expected.body + "\ngot " + got + "\nof\n" +
             pipeline.bytes;
  }
  return said.empty() ? "" : "more than was asked for: " + said;
}

}  // namespace

TEST_CASE("each answer of a random pipeline is that of its request") {
  const Served served(application());
  const int count = pipelines();
  int done = 0;
  std::vector<std::string> wrong;
  green::GreenPool pool(10);
  for (int i = 0; i < count; ++i)
    pool.spawn_n([&, i] {
      Random random(static_cast<unsigned>(i));
      const std::string found = difference(served, random_pipeline(random), random);
      if (!found.empty()) wrong.push_back("seed " + std::to_string(i) + ": " + found);
      ++done;
    });
  pool.waitall();
  CHECK(done == count);
  CHECK(wrong == std::vector<std::string>());
}

TEST_CASE("a pipeline ends at a body that is too long to be left unread, never within one") {
  const Served served(application());
  for (const std::size_t length : {256UL * 1024, 256UL * 1024 + 1}) {
    const std::string body(length, 'G');
    const std::string first =
        "POST /unread/1 HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) +
        "\r\n\r\n" + body;
    Random random(1);
    std::string said = send_in_pieces(
        served, first + "GET /get/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", random);
    CHECK(take_answer(said, {"200", "unread 1"}) == "200 unread 1");
    if (length <= 256 * 1024) CHECK(take_answer(said, {"200", "get 2"}) == "200 get 2");
    CHECK(said.empty());
  }
}

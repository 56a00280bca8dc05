// An application as clients of others see it, in the clear and over TLS: curl, aiohttp, wrk.

#include "../ssl_support.hpp"
#include "served.hpp"

#include <green/subprocess.hpp>

#include <cstdlib>
#include <fstream>

using aio::task;
using test::Served;

namespace web = aio::web;

namespace {

std::string large() {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i) + "\n";
  return text;
}

task<web::Response> echo(web::Request& request) {
  std::string body = co_await request.read();
  co_return web::Response(std::move(body));
}

// A plain function, which blocks between the pieces.
web::StreamResponse stream(web::Request& request) {
  web::StreamResponse response;
  green::awaitlet(response.prepare(request));
  for (int i = 0; i < 3; ++i) {
    green::awaitlet(response.write("piece " + std::to_string(i) + "\n"));
    green::sleep(0.001);
  }
  green::awaitlet(response.write_eof());
  return response;
}

web::Application application(const std::string& folder) {
  web::Application app;
  app.router().add_get("/hello", [](web::Request&) { return web::Response("hello"); });
  app.router().add_post("/echo", echo);
  app.router().add_get("/stream", stream);
  app.router().add_static("/files", folder);
  return app;
}

struct Site {
  explicit Site(bool secure)
      : file(folder / "large.txt"),
        served(application(folder / ""), options(secure)),
        url(std::string(secure ? "https" : "http") +
            "://localhost:" + std::to_string(served.address().port())) {
    std::ofstream(file) << large();
  }
  static web::ServerOptions options(bool secure) {
    web::ServerOptions options;
    options.client_max_size = 16 << 20;
    if (secure) options.ssl = test::server_options();
    return options;
  }
  std::string curl(std::vector<std::string> arguments, const std::string& path) const {
    std::vector<std::string> command = {
        "curl",      "--silent", "--show-error", "--max-time", std::to_string(test::watchdog),
        "--noproxy", "*",        "--ipv4",       "--cacert",   ca()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.push_back(url + path);
    return green::check_output(command);
  }
  static std::string ca() { return test::certificates().certificate("ca"); }

  test::Folder folder;
  std::string file;
  Served served;
  std::string url;
};

constexpr const char* aiohttp_client = R"(
import asyncio, ssl, sys
import aiohttp

async def main(url, ca):
    context = ssl.create_default_context(cafile=ca) if url.startswith("https") else None
    connector = aiohttp.TCPConnector(limit=5, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def hello():
            async with session.get(url + "/hello") as response:
                assert response.status == 200 and await response.text() == "hello"
        await asyncio.gather(*(hello() for _ in range(200)))
        body = bytes(range(256)) * 10_000
        async with session.post(url + "/echo", data=body) as response:
            assert await response.read() == body
        async def pieces():
            for i in range(100):
                yield b"%d" % i * 1000
        async with session.post(url + "/echo", data=pieces(), expect100=True) as response:
            assert await response.read() == b"".join(b"%d" % i * 1000 for i in range(100))
        async with session.get(url + "/stream") as response:
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert await response.text() == "piece 0\npiece 1\npiece 2\n"
        part = {"Range": "bytes=2-5"}
        async with session.get(url + "/files/large.txt", headers=part) as response:
            assert response.status == 206 and await response.text() == "1\n2\n"
        async with session.get(url + "/nowhere") as response:
            assert response.status == 404
        async with session.put(url + "/hello") as response:
            assert response.status == 405 and "GET" in response.headers["Allow"]
    print("done")

asyncio.run(main(sys.argv[1], sys.argv[2]))
)";

}  // namespace

TEST_CASE("curl") {
  if (!test::peer_installed("curl")) return;
  for (const bool secure : {false, true}) {
    CAPTURE(secure);
    const Site site(secure);
    CHECK(site.curl({}, "/hello") == "hello");
    CHECK(site.curl({"--write-out", "%{num_connects}", "--output", "/dev/null", site.url + "/hello",
                     "--output", "/dev/null"},
                    "/hello") == "10");  // the second request needs no new connection
    CHECK(site.curl({"--head"}, "/hello").find("Content-Length: 5\r\n") != std::string::npos);
    CHECK(site.curl({"--data", "@" + site.file, "--header", "Expect: 100-continue"}, "/echo") ==
          site.curl({"--data", "@" + site.file}, "/echo"));
    CHECK(site.curl({"--data-binary", "@" + site.file}, "/echo") == large());
    CHECK(site.curl({"--header", "Transfer-Encoding: chunked", "--data-binary", "@" + site.file},
                    "/echo") == large());
    CHECK(site.curl({"--no-buffer"}, "/stream") == "piece 0\npiece 1\npiece 2\n");
    CHECK(site.curl({}, "/files/large.txt") == large());
    CHECK(site.curl({"--range", "2-5"}, "/files/large.txt") == "1\n2\n");
    CHECK(site.curl({"--write-out", "%{http_code}", "--http1.0"}, "/nowhere").ends_with("404"));
  }
}

TEST_CASE("aiohttp's client") {
  for (const bool secure : {false, true}) {
    CAPTURE(secure);
    const Site site(secure);
    CHECK(green::check_output({"/usr/bin/python3", "-c", aiohttp_client, site.url, Site::ca()}) ==
          "done\n");
  }
}

TEST_CASE("wrk gets nothing but answers") {
  if (!test::peer_installed("wrk")) return;
  for (const bool secure : {false, true}) {
    CAPTURE(secure);
    const Site site(secure);
    const std::string said =
        green::check_output({"wrk", "-t1", "-c64", "-d1s", site.url + "/hello"});
    CAPTURE(said);
    CHECK(said.find("Requests/sec") != std::string::npos);
    CHECK(said.find("Socket errors") == std::string::npos);
    CHECK(said.find("Non-2xx") == std::string::npos);
  }
}

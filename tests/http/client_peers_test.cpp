// Against aiohttp's own server, in both faces.

#include "client_support.hpp"
#include "peer.hpp"

using aio::task;
using test::holds;

namespace http = aio::http;

namespace {

constexpr const char* script = R"(
import asyncio, sys
from aiohttp import web

async def echo(request):
    return web.Response(body=await request.read(), content_type="application/x-echo")

async def form(request):
    found = {}
    for name, value in (await request.post()).items():
        is_file = hasattr(value, "file")
        found[name] = [value.filename, value.file.read().decode()] if is_file else value
    return web.json_response(found)

async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for piece in range(5):
        await response.write(b"%d" % piece * 1000)
        await asyncio.sleep(0.001)
    return response

async def packed(request):
    response = web.Response(text="packed " * 10000)
    response.enable_compression(web.ContentCoding(request.match_info["coding"]))
    return response

async def cookies(request):
    response = web.json_response(dict(request.cookies))
    response.set_cookie("seen", "yes", httponly=True, max_age=100)
    response.set_cookie("gone", "x", max_age=0)
    return response

async def redirect(request):
    left = int(request.match_info["left"])
    raise web.HTTPFound("/redirect/%d" % (left - 1) if left else "/headers")

async def headers(request):
    return web.json_response([request.method, dict(request.headers), dict(request.query)])

async def leaves(request):
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"x" * 10)
    request.transport.close()
    return response

async def main():
    app = web.Application(client_max_size=100_000_000)
    app.router.add_route("*", "/echo", echo)
    app.router.add_post("/form", form)
    app.router.add_get("/stream", stream)
    app.router.add_get("/packed/{coding}", packed)
    app.router.add_get("/cookies", cookies)
    app.router.add_route("*", "/redirect/{left}", redirect)
    app.router.add_route("*", "/headers", headers)
    app.router.add_get("/leaves", leaves)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_event_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
)";

// Debian's python3 has the packages of Debian.
class Peer : public test::PeerServer {
 public:
  Peer() : PeerServer({"/usr/bin/python3", "-c", script}) {}
  std::string url(const std::string& path) const { return "http://" + host() + path; }
};

std::string noise(std::size_t bytes) {
  std::string data(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<char>(i * i % 251);
  return data;
}

task<void> use_as_coroutine(const Peer& peer) {
  http::ClientSession session;
  http::RequestOptions options;
  options.data = noise(3'000'000);
  http::ClientResponse echoed = co_await session.post(peer.url("/echo"), options);
  CHECK(echoed.headers().get("Content-Type") == "application/x-echo");
  const std::string body = co_await echoed.read();
  CHECK(body == options.data);
  std::vector<task<http::ClientResponse>> many;
  for (int i = 0; i < 50; ++i) many.push_back(session.get(peer.url("/stream")));
  for (http::ClientResponse& response : co_await aio::gather(std::move(many))) {
    const std::string text = co_await response.text();
    CHECK(text.size() == 5'000);
  }
  co_await session.close();
}

}  // namespace

TEST_CASE("aiohttp's server is understood, and understands") {
  const Peer peer;
  green::http::ClientSession session;

  SUBCASE("in a coroutine") { green::awaitlet(use_as_coroutine(peer)); }
  SUBCASE("bodies") {
    http::RequestOptions options;
    options.data = noise(3'000'000);
    CHECK(session.put(peer.url("/echo"), options).read() == options.data);
    http::RequestOptions chunks;
    chunks.body = [left = 100]() mutable -> task<std::string> {
      co_return left-- > 0 ? std::string(10'000, 'c') : std::string();
    };
    CHECK(session.post(peer.url("/echo"), chunks).read() == std::string(1'000'000, 'c'));
  }
  SUBCASE("forms") {
    http::RequestOptions form;
    form.form = {{"a", "b c"}, {"\xc3\xa9", "&="}};
    CHECK(session.post(peer.url("/form"), form).json() ==
          http::json({{"a", "b c"}, {"\xc3\xa9", "&="}}));
    http::RequestOptions parts;
    parts.multipart.emplace_back("field", "value");
    parts.multipart.emplace_back("file", "contents", "a \"b\".txt");
    const http::json found = session.post(peer.url("/form"), parts).json();
    CHECK(found["field"] == "value");
    CHECK(found["file"][1] == "contents");
  }
  SUBCASE("codings") {
    std::string text;
    for (int i = 0; i < 10'000; ++i) text += "packed ";
    for (const char* coding : {"gzip", "deflate"}) {
      green::http::ClientResponse response =
          session.get(peer.url("/packed/" + std::string(coding)));
      CHECK(response.headers().get("Content-Encoding") == coding);
      CHECK(response.read() == text);
    }
  }
  SUBCASE("cookies") {
    CHECK(session.get(peer.url("/cookies")).json() == http::json::object());
    CHECK(session.get(peer.url("/cookies")).json() == http::json({{"seen", "yes"}}));
  }
  SUBCASE("redirects") {
    http::RequestOptions options;
    options.data = "body";
    const http::json told = session.post(peer.url("/redirect/5"), options).json();
    CHECK(told[0] == "GET");
    CHECK_FALSE(told[1].contains("Content-Type"));
  }
  SUBCASE("headers and queries") {
    http::RequestOptions options;
    options.headers = {{"X-Test", "caf\xc3\xa9"}};
    options.params = {{"q", "a&b"}};
    const http::json told = session.get(peer.url("/headers"), options).json();
    CHECK(told[1]["X-Test"] == "caf\xc3\xa9");
    CHECK(told[2] == http::json({{"q", "a&b"}}));
  }
  SUBCASE("what ends too early") {
    CHECK_THROWS_AS(session.get(peer.url("/leaves")).read(), http::ClientPayloadError);
    CHECK(session.get(peer.url("/headers")).status() == 200);
  }
}

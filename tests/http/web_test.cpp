#include "served.hpp"

#include <aio/sleep.hpp>
#include <green/event.hpp>

#include <filesystem>
#include <fstream>
#include <unistd.h>

using aio::task;
using test::count;
using test::get_root;
using test::header;
using test::Served;

namespace web = aio::web;

TEST_CASE("plain functions that block and coroutines answer side by side") {
  web::Application app;
  app.router().add_get("/plain", [](web::Request&) {
    green::sleep(0.001);
    return web::Response("plain");
  });
  app.router().add_get("/coroutine", [](web::Request&) -> task<web::Response> {
    co_await aio::sleep(0.001);
    co_return web::Response("coroutine");
  });
  const Served served(app);
  CHECK(served.get("/plain") == "200 plain");
  CHECK(served.get("/coroutine") == "200 coroutine");
}

TEST_CASE("a handler that blocks holds up nobody else") {
  web::Application app;
  green::Event<> go;
  app.router().add_get("/wait", [&](web::Request&) {
    go.wait();
    return web::Response("waited");
  });
  app.router().add_get("/go", [&](web::Request&) {
    go.send();
    return web::Response("gone");
  });
  const Served served(app);
  auto waiting = green::spawn([&] { return served.get("/wait"); });
  green::sleep(0.01);
  CHECK(served.get("/go") == "200 gone");
  CHECK(waiting.wait() == "200 waited");
}

TEST_CASE("routes have placeholders, methods and escapes") {
  web::Application app;
  auto show = [](web::Request& request) {
    std::string text;
    for (const auto& [name, value] : request.match_info()) text += name + "=" + value + ";";
    return web::Response(text);
  };
  app.router().add_get("/data/{id}", show);
  app.router().add_get("/data/fixed", [](web::Request&) { return web::Response("fixed"); });
  app.router().add_get(R"(/year/{year:\d{4}})", show);
  app.router().add_get("/a/{x}/b/{y}", show);
  app.router().add_get("/tree/{path:.*}", show);
  app.router().add_get("/with space", [](web::Request&) { return web::Response("space"); });
  app.router().add_route("*", "/any",
                         [](web::Request& request) { return web::Response(request.method()); });
  app.router().add_put("/item", [](web::Request&) { return web::Response("", 201); });
  app.router().add_delete("/item", [](web::Request&) { return web::Response("", 204); });
  const Served served(app);
  CHECK(served.get("/data/7") == "200 id=7;");
  CHECK(served.get("/data/a%2Fb%20c%25") == "200 id=a/b c%;");
  CHECK(served.get("/data/fixed") == "200 fixed");
  CHECK(served.get("/data/") == "404 404: Not Found");
  CHECK(served.get("/data/7/8") == "404 404: Not Found");
  CHECK(served.get("/year/1984") == "200 year=1984;");
  CHECK(served.get("/year/84") == "404 404: Not Found");
  CHECK(served.get("/a/1/b/2") == "200 x=1;y=2;");
  CHECK(served.get("/tree/x/y%20z") == "200 path=x/y z;");
  CHECK(served.get("/with%20space") == "200 space");
  CHECK(served.get("/any", "", "PATCH") == "200 PATCH");
  CHECK(served.get("/item", "", "PUT") == "201 ");
  CHECK(served.get("/item", "", "DELETE") == "204 ");
  const std::string refused = served.talk("GET /item HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(Served::brief(refused) == "405 405: Method Not Allowed");
  CHECK(header(refused, "Allow") == "PUT, DELETE");
}

TEST_CASE("routes that make no sense are refused") {
  web::Application app;
  auto handler = [](web::Request&) { return web::Response(); };
  CHECK_THROWS_AS(app.router().add_get("x", handler), std::invalid_argument);
  CHECK_THROWS_AS(app.router().add_get("/{a", handler), std::invalid_argument);
  CHECK_THROWS_AS(app.router().add_get("/a}", handler), std::invalid_argument);
  CHECK_THROWS_AS(app.router().add_get("/{}", handler), std::invalid_argument);
  CHECK_THROWS_AS(app.router().add_get("/{a}/{a}", handler), std::invalid_argument);
  CHECK_THROWS_AS(app.router().add_get("/{a:(}", handler), std::invalid_argument);
  CHECK_THROWS_AS(app.router().add_route("get", "/", handler), std::invalid_argument);
  app.router().add_get("/twice", handler);
  CHECK_THROWS_WITH_AS(app.router().add_get("/twice", handler),
                       "add_route: GET /twice has a handler already", std::invalid_argument);
  CHECK_THROWS_AS(app.router().add_static("/s", "/no/such/directory"), std::invalid_argument);
  CHECK_THROWS_AS(app.add_subapp("/", web::Application()), std::invalid_argument);
  CHECK_THROWS_AS(app.add_subapp("/x", app), std::invalid_argument);
}

TEST_CASE("a method of its own is a method like any other") {
  web::Application app;
  auto show = [](web::Request& request) -> task<web::Response> {
    const std::string body = co_await request.read();
    co_return web::Response(request.method() + body);
  };
  app.router().add_route("*", "/any", show);
  app.router().add_route("BREW", "/pot", show);
  app.router().add_route("X_1.Y", "/odd", show);
  app.router().add_get("/", show);
  const Served served(app);
  CHECK(served.get("/any", "", "FOO") == "200 FOO");
  CHECK(served.get("/any", "", "PLAY") == "200 PLAY");
  CHECK(served.get("/odd", "", "X_1.Y") == "200 X_1.Y");
  const std::string brew = "BREW /pot HTTP/1.1\r\nHost: a\r\n";
  const std::string twice =
      served.talk(brew + "Content-Length: 3\r\n\r\ntea" + brew +
                  "Transfer-Encoding: chunked\r\n\r\n3\r\nmate\r\n" + get_root);
  CHECK(count(twice, "\r\n\r\nBREWtea") == 1);
  const std::string refused = served.talk("BREW / HTTP/1.1\r\nHost: a\r\n\r\n" + get_root);
  CHECK(refused.starts_with("HTTP/1.1 405 "));
  CHECK(header(refused, "Allow") == "GET, HEAD");
  CHECK(count(refused, "HTTP/1.1 200 OK") == 1);
  CHECK(served.get("/none", "", "FOO").starts_with("404 "));
  CHECK(served.get("/any", "", "foo").starts_with("400 "));
  CHECK(served.get("/any", "", "F(O").starts_with("400 "));
  CHECK(served.get("/any", "", "PRI").starts_with("505 "));  // HTTP/2's
  CHECK_THROWS_AS(app.router().add_route("F(O", "/", show), std::invalid_argument);
}

TEST_CASE("what can only be moved is kept: values, handlers, middlewares, hooks") {
  web::Application app;
  auto number = [] { return std::make_unique<int>(7); };
  app.set("number", number());
  int begun = 0;
  app.on_startup([&begun, n = number()](web::Application&) { begun += *n; });
  app.on_startup([&begun, n = number()]() -> task<void> {
    begun += *n;
    co_return;
  });
  app.add_middleware(
      [n = number()](web::Request& request, const web::Handler& next) -> task<web::Response> {
        request.set("mine", std::make_unique<int>(*n + 1));
        co_return co_await next(request);
      });
  app.add_middleware([n = number()](web::Request& request, const web::Handler& next) {
    return green::awaitlet(next(request));
  });
  app.router().add_get("/plain", [n = number()](web::Request& request) {
    return web::Response(std::to_string(*n + *request.get<std::unique_ptr<int>>("mine")));
  });
  app.router().add_get("/coroutine", [n = number()](web::Request& request) -> task<web::Response> {
    co_return web::Response(
        std::to_string(*n + *request.app().get<std::unique_ptr<int>>("number")));
  });
  app.router().add_get("/stream",
                       [n = number()](web::Request& request) -> task<web::StreamResponse> {
                         web::StreamResponse stream;
                         stream.headers().set("Content-Length", "1");
                         co_await stream.prepare(request);
                         co_await stream.write(std::to_string(*n));
                         co_return stream;
                       });
  app.router().add_get(
      "/count", [n = 0](web::Request&) mutable { return web::Response(std::to_string(++n)); });
  const Served served(app);
  CHECK(begun == 14);
  CHECK(served.get("/plain") == "200 15");
  CHECK(served.get("/coroutine") == "200 14");
  CHECK(served.get("/stream") == "200 7");
  CHECK(served.get("/count") == "200 1");
  CHECK(served.get("/count") == "200 2");
}

TEST_CASE("a value is asked for by its name and its type") {
  web::Application app;
  app.set("answer", 42);
  app.get<int>("answer") += 1;
  CHECK(app.get<int>("answer") == 43);
  CHECK_THROWS_WITH_AS(app.get<long>("answer"), "'answer' is a int, and not a long",
                       std::logic_error);
  CHECK_THROWS_WITH_AS(app.get<int>("none"), "the application has nothing by the name 'none'",
                       std::out_of_range);
  app.set("answer", std::string("yes"));
  CHECK(app.get<std::string>("answer") == "yes");
  app.router().add_get("/", [](web::Request& request) {
    request.set("n", 1);
    CHECK_THROWS_WITH_AS(request.get<char>("n"), "'n' is a int, and not a char", std::logic_error);
    CHECK_THROWS_WITH_AS(request.get<int>("m"), "the request has nothing by the name 'm'",
                         std::out_of_range);
    return web::Response(std::to_string(request.get<int>("n")));
  });
  const Served served(app);
  CHECK(served.get("/") == "200 1");
}

TEST_CASE("HEAD is answered by the GET handler, without its body") {
  web::Application app;
  app.router().add_get("/", [](web::Request&) { return web::Response("hello"); });
  const Served served(app);
  const std::string response = served.talk("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(Served::brief(response) == "200 ");
  CHECK(header(response, "Content-Length") == "5");
}

TEST_CASE("the request tells what was asked") {
  web::Application app;
  app.router().add_get("/q", [](web::Request& request) {
    std::string text = request.path() + " " + request.query_string() + " ";
    text += request.query("b").value_or("none") + " " + request.query("c").value_or("none") + " ";
    text += request.headers().get("x-y").value_or("none") + " ";
    text += request.cookie("k").value_or("none");
    CHECK(request.remote().host() == "127.0.0.1");
    CHECK(request.target() == "/q?a=1&b=x+%26y");
    CHECK_THROWS_AS(request.match_info().at("none"), std::out_of_range);
    return web::Response(text);
  });
  const Served served(app);
  CHECK(served.get("/q?a=1&b=x+%26y", "X-Y: z\r\nCookie: j=0; k=v; l=2\r\n") ==
        "200 /q a=1&b=x+%26y x &y none z v");
}

TEST_CASE("bodies are read whole, as JSON, as a form, in chunks") {
  web::Application app;
  app.router().add_post("/read", [](web::Request& request) -> task<web::Response> {
    const std::string first = co_await request.read();
    const std::string again = co_await request.text();
    co_return web::Response(first == again ? first : "not the same");
  });
  app.router().add_post("/json", [](web::Request& request) -> task<web::Response> {
    const auto value = co_await request.json();
    co_return web::json_response(value.at("a"));
  });
  app.router().add_post("/form", [](web::Request& request) {
    std::string text;
    for (const auto& [name, value] : green::awaitlet(request.post()))
      text += name + "=" + value + ";";
    return web::Response(text);
  });
  app.router().add_post("/size", [](web::Request& request) -> task<web::Response> {
    std::size_t bytes = 0;
    for (;;) {
      const std::string chunk = co_await request.read_chunk();
      if (chunk.empty()) break;
      bytes += chunk.size();
    }
    co_return web::Response(std::to_string(bytes));
  });
  const Served served(app);
  CHECK(served.post("/read", "hello") == "200 hello");
  CHECK(served.post("/read", "") == "200 ");
  CHECK(served.post("/json", R"({"a": [1, 2]})") == "200 [1,2]");
  CHECK(served.post("/json", "{").starts_with("400 "));
  CHECK(served.post("/form", "a=1&b=x%20y+z&=&c") == "200 a=1;b=x y z;=;c=;");
  CHECK(served.post("/size", std::string(3'000'000, 'x')) == "200 3000000");
  CHECK(Served::brief(served.talk("POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) ==
        "200 abcde");
}

TEST_CASE("a body over client_max_size is 413, one that is cut short 400") {
  web::Application app;
  app.router().add_post("/", [](web::Request& request) -> task<web::Response> {
    co_return web::Response(co_await request.read());
  });
  web::ServerOptions options;
  options.client_max_size = 10;
  const Served served(app, options);
  CHECK(served.post("/", "0123456789") == "200 0123456789");
  CHECK(served.post("/", "0123456789x").starts_with("413 "));
  CHECK(Served::brief(served.talk("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "b\r\n0123456789x\r\n0\r\n\r\n"))
            .starts_with("413 "));
  CHECK(Served::brief(served.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"))
            .starts_with("400 "));
  CHECK(Served::brief(served.talk("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "zz\r\n"))
            .starts_with("400 "));
}

TEST_CASE("exceptions become responses") {
  web::Application app;
  app.router().add_get("/teapot", [](web::Request&) -> web::Response {
    web::HTTPException error(418, "short and stout");
    error.headers().set("X-Pot", "tea");
    throw error;
  });
  app.router().add_get("/moved", [](web::Request&) -> task<web::Response> {
    web::HTTPException error(302);
    error.headers().set("Location", "/");
    throw error;
    co_return web::Response();
  });
  app.router().add_get("/broken", [](web::Request&) -> web::Response {
    throw std::runtime_error("not for the client");
  });
  const Served served(app);
  const std::string teapot = served.talk("GET /teapot HTTP/1.1\r\nHost: a\r\n\r\n" + get_root);
  CHECK(Served::brief(teapot).starts_with("418 short and stout"));
  CHECK(header(teapot, "X-Pot") == "tea");
  CHECK(count(teapot, "HTTP/1.1") == 2);  // the connection goes on
  CHECK(header(served.talk("GET /moved HTTP/1.1\r\nHost: a\r\n\r\n"), "Location") == "/");
  CHECK(served.get("/broken") == "500 500: Internal Server Error");
  CHECK_THROWS_AS(web::HTTPException(99), std::invalid_argument);
  CHECK_THROWS_AS(web::Response("", 1000), std::invalid_argument);
}

TEST_CASE("a stream is sent in chunks, as it is, or to the end of the connection") {
  web::Application app;
  app.router().add_get("/chunks", [](web::Request& request) -> task<web::StreamResponse> {
    web::StreamResponse stream;
    stream.headers().set("Content-Type", "text/plain");
    co_await stream.prepare(request);
    co_await stream.write("one");
    co_await stream.write("");
    co_await stream.write(std::string(20'000, 'x'));
    co_return stream;
  });
  app.router().add_get("/length", [](web::Request& request) {
    web::StreamResponse stream(201);
    stream.headers().set("Content-Length", "4");
    CHECK_THROWS_AS(green::awaitlet(stream.write("x")), std::logic_error);
    green::awaitlet(stream.prepare(request));
    CHECK_THROWS_AS(green::awaitlet(stream.prepare(request)), std::logic_error);
    green::awaitlet(stream.write("ab"));
    CHECK_THROWS_AS(green::awaitlet(stream.write("cde")), std::invalid_argument);
    green::awaitlet(stream.write("cd"));
    green::awaitlet(stream.write_eof());
    CHECK_THROWS_AS(green::awaitlet(stream.write("x")), std::logic_error);
    return stream;
  });
  app.router().add_get("/short", [](web::Request& request) -> task<web::StreamResponse> {
    web::StreamResponse stream;
    stream.headers().set("Content-Length", "4");
    co_await stream.prepare(request);
    co_await stream.write("ab");
    co_return stream;
  });
  app.router().add_get("/fails", [](web::Request& request) -> task<web::StreamResponse> {
    web::StreamResponse stream;
    co_await stream.prepare(request);
    co_await stream.write("begun");
    throw std::runtime_error("in the middle");
  });
  const Served served(app);
  const std::string chunks = served.talk("GET /chunks HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(header(chunks, "Transfer-Encoding") == "chunked");
  CHECK(Served::brief(chunks) ==
        "200 3\r\none\r\n4e20\r\n" + std::string(20'000, 'x') + "\r\n0\r\n\r\n");
  const std::string old = served.talk("GET /chunks HTTP/1.0\r\n\r\n");
  CHECK(Served::brief(old) == "200 one" + std::string(20'000, 'x'));
  CHECK(served.get("/length") == "201 abcd");
  CHECK(served.get("/chunks", "", "HEAD") == "200 ");
  CHECK(count(served.talk("GET /short HTTP/1.1\r\nHost: a\r\n\r\n" + get_root), "HTTP/1.1") == 1);
  const std::string cut = served.talk("GET /fails HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(Served::brief(cut) == "200 5\r\nbegun\r\n");  // no last chunk: the client notices
}

TEST_CASE("middlewares stand around the handlers, the first one outermost") {
  web::Application app;
  app.add_middleware([](web::Request& request, const web::Handler& next) -> task<web::Response> {
    try {
      web::Response response = co_await next(request);
      response.set_body("(" + response.body() + ")");
      co_return response;
    } catch (const web::HTTPException& error) {
      co_return web::Response("caught " + std::to_string(error.status()));
    }
  });
  app.add_middleware([](web::Request& request, const web::Handler& next) {  // a plain function
    request.set<std::string>("user", "ann");
    web::Response response = green::awaitlet(next(request));
    response.set_body("[" + response.body() + "]");
    return response;
  });
  app.router().add_get(
      "/", [](web::Request& request) { return web::Response(request.get<std::string>("user")); });
  web::Application inner;
  inner.set<int>("answer", 42);
  inner.router().add_get("/", [](web::Request& request) {
    return web::Response(std::to_string(request.app().get<int>("answer")));
  });
  inner.router().add_get(
      "/x/{y}", [](web::Request& request) { return web::Response(request.match_info().at("y")); });
  app.add_subapp("/inner", inner);
  const Served served(app);
  CHECK(served.get("/") == "200 ([ann])");
  CHECK(served.get("/none") == "200 caught 404");
  CHECK(served.get("/inner") == "200 ([42])");
  CHECK(served.get("/inner/x/z") == "200 ([z])");
  CHECK(served.get("/innermost") == "200 caught 404");
}

TEST_CASE("files come with type, conditions and ranges, and never from outside the directory") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("uvlet_web_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "files" / "sub");
  std::ofstream(folder / "secret.txt") << "secret";
  std::ofstream(folder / "files" / "a b.html") << "0123456789";
  std::ofstream(folder / "files" / "empty") << "";
  std::ofstream(folder / "files" / "big.bin") << std::string(5'000'000, 'b');
  std::filesystem::create_symlink(folder / "secret.txt", folder / "files" / "link");
  {
    web::Application app;
    app.router().add_static("/f/", (folder / "files").string());
    app.router().add_get(
        "/one", [&](web::Request&) { return web::FileResponse((folder / "secret.txt").string()); });
    const Served served(app);
    const std::string whole = served.talk("GET /f/a%20b.html HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(Served::brief(whole) == "200 0123456789");
    CHECK(header(whole, "Content-Type") == "text/html; charset=utf-8");
    CHECK(header(whole, "Content-Length") == "10");
    const std::string tag = header(whole, "ETag");
    CHECK(served.get("/f/a%20b.html", "If-None-Match: \"x\", W/" + tag + "\r\n") == "304 ");
    CHECK(served.get("/f/a%20b.html",
                     "If-Modified-Since: " + header(whole, "Last-Modified") + "\r\n") == "304 ");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=2-4\r\n") == "206 234");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=7-\r\n") == "206 789");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=-2\r\n") == "206 89");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=5-100\r\n") == "206 56789");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=1-2,4-5\r\n") == "200 0123456789");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=4-2\r\n") == "200 0123456789");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=2-4\r\nIf-Range: \"x\"\r\n") ==
          "200 0123456789");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=10-\r\n").starts_with("416 "));
    CHECK(
        served.get("/f/a%20b.html", "Range: bytes=99999999999999999999-\r\n").starts_with("416 "));
    CHECK(served.get("/f/a%20b.html", "Range: bytes=-99999999999999999999\r\n") ==
          "206 0123456789");
    CHECK(served.get("/f/a%20b.html", "Range: bytes=8-99999999999999999999\r\n") == "206 89");
    CHECK(served.get("/f/a%20b.html", "If-Match: \"x\", " + tag + "\r\n") == "200 0123456789");
    CHECK(served.get("/f/a%20b.html", "If-Match: *\r\n") == "200 0123456789");
    CHECK(served.get("/f/a%20b.html", "If-Match: \"x\"\r\n").starts_with("412 "));
    CHECK(served.get("/f/a%20b.html", "If-Match: W/" + tag + "\r\n").starts_with("412 "));
    CHECK(served.get("/f/a%20b.html", "If-Match: \"x\"\r\nIf-None-Match: " + tag + "\r\n")
              .starts_with("412 "));
    const std::string early = "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    CHECK(served.get("/f/a%20b.html", early).starts_with("412 "));
    CHECK(served.get("/f/a%20b.html", early + "If-Match: " + tag + "\r\n") == "200 0123456789");
    CHECK(served.get("/f/a%20b.html", "If-Unmodified-Since: " + header(whole, "Last-Modified") +
                                          "\r\n") == "200 0123456789");
    CHECK(served.get("/f/empty") == "200 ");
    CHECK(served.get("/f/empty", "Range: bytes=0-\r\n").starts_with("416 "));
    CHECK(served.get("/f/big.bin") == "200 " + std::string(5'000'000, 'b'));
    CHECK(served.get("/f/big.bin", "", "HEAD") == "200 ");
    CHECK(served.get("/one") == "200 secret");
    for (const char* path : {"/f/none", "/f/../secret.txt", "/f/%2e%2e/secret.txt", "/f/link",
                             "/f/sub/..%2f..%2fsecret.txt", "/f//etc/passwd", "/f/a%00b"})
      CHECK_MESSAGE(served.get(path).starts_with("404 "), path);
    CHECK(served.get("/f/sub").starts_with("403 "));
    CHECK(served.get("/f/a%20b.html", "", "DELETE").starts_with("405 "));
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("cookies are set as told, and only if they can be") {
  aio::http::Headers headers;
  web::CookieOptions options;
  options.max_age = 60;
  options.secure = options.http_only = true;
  options.same_site = "Lax";
  web::set_cookie(headers, "a", "1", options);
  web::set_cookie(headers, "b", "2");
  CHECK(headers.get_all("set-cookie") ==
        std::vector<std::string>{"a=1; Max-Age=60; Path=/; SameSite=Lax; Secure; HttpOnly",
                                 "b=2; Path=/"});
  CHECK_THROWS_AS(web::set_cookie(headers, "a b", "1"), std::invalid_argument);
  CHECK_THROWS_AS(web::set_cookie(headers, "a", "1; Path=/evil"), std::invalid_argument);
}

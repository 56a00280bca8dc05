// examples/web in a browser: Chromium, without a window, driven over its DevTools protocol by our
// own WebSocket client.

#include "../../examples/web/app.hpp"
#include "served.hpp"

#include <aio/http.hpp>
#include <aio/subprocess.hpp>
#include <green/http.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

using aio::http::json;
using green::awaitlet;
using test::Served;

namespace {

const std::string folder = EXAMPLE_FOLDER;

class Browser {
 public:
  Browser() : process_(start()), devtools_(session_.ws_connect(url(), options())) {
    const json target = call("Target.createTarget", {{"url", "about:blank"}});
    page_ = call("Target.attachToTarget", {{"targetId", target.at("targetId")}, {"flatten", true}})
                .at("sessionId");
  }
  ~Browser() {
    if (!process_.returncode()) process_.kill();
    awaitlet(process_.wait());
    std::error_code ignored;
    std::filesystem::remove_all(profile_, ignored);
  }

  static bool there() { return std::system("command -v chromium >/dev/null 2>&1") == 0; }

  void open(const std::string& address) { call("Page.navigate", {{"url", address}}); }
  // The value of an expression, as soon as that is true.
  json wait_for(const std::string& expression) {
    const std::string promise =
        "new Promise(done => { const look = () => { const value = " + expression +
        "; if (value) done(value); else setTimeout(look, 5); }; look(); })";
    return call("Runtime.evaluate",
                {{"expression", promise}, {"awaitPromise", true}, {"returnByValue", true}})
        .at("result")
        .value("value", json());
  }

 private:
  json call(const std::string& method, json parameters) {
    json request{{"id", ++calls_}, {"method", method}, {"params", std::move(parameters)}};
    if (!page_.empty()) request["sessionId"] = page_;
    devtools_.send_json(request);
    for (;;) {
      const json answer = devtools_.receive_json(60);
      if (answer.value("id", 0) != calls_) continue;  // an event
      if (answer.contains("error")) FAIL(method, ": ", answer.dump());
      return answer.at("result");
    }
  }

  aio::Process start() {
    std::string name = std::filesystem::temp_directory_path() / "uvlet-browser-XXXXXX";
    REQUIRE(mkdtemp(name.data()));
    profile_ = name;
    aio::ProcessOptions options;
    options.err = aio::PIPE;
    options.out = aio::DEVNULL;
    return awaitlet(aio::create_subprocess_exec(
        {"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
         "--remote-debugging-port=0", "--user-data-dir=" + name, "about:blank"},
        options));
  }
  std::string url() {
    const std::string before = "DevTools listening on ";
    for (;;) {
      std::string line = awaitlet(process_.err().readline());
      REQUIRE_MESSAGE(!line.empty(), "the browser does not start");
      if (line.starts_with(before))
        return line.substr(before.size(), line.find('\n') - before.size());
    }
  }
  static aio::http::WebSocketOptions options() {
    aio::http::WebSocketOptions options;
    options.max_msg_size = 0;
    return options;
  }

  std::string profile_;
  aio::Process process_;
  green::http::ClientSession session_;
  green::http::WebSocket devtools_;
  std::string page_;
  int calls_ = 0;
};

}  // namespace

TEST_CASE("the example's API and its chat work without a browser") {
  const Served served(make_app(folder));
  const std::string host = served.address().str();
  green::http::ClientSession session;
  CHECK(session.get("http://" + host + "/").text().find("chat.js") != std::string::npos);
  CHECK(session.get("http://" + host + "/static/chat.js").status() == 200);
  green::http::WebSocket anna = session.ws_connect("ws://" + host + "/chat?name=Anna");
  green::http::WebSocket other = session.ws_connect("ws://" + host + "/chat");
  anna.send_str("hello");
  CHECK(anna.receive_json() == json{{"name", "Anna"}, {"text", "hello"}});
  CHECK(other.receive_json() == json{{"name", "Anna"}, {"text", "hello"}});
  aio::http::RequestOptions options;
  options.json = json::object({{"text", "posted"}});
  CHECK(session.post("http://" + host + "/api/messages", options).status() == 204);
  CHECK(other.receive_json().at("text") == "posted");
  options.json = json::object({{"text", 1}});
  CHECK(session.post("http://" + host + "/api/messages", options).status() == 400);
  const json list = session.get("http://" + host + "/api/messages").json();
  CHECK(list.at("messages").size() == 2);
  CHECK(list.at("members") == 2);
  CHECK(other.close());
}

TEST_CASE("the example's page chats in Chromium") {
  if (!Browser::there()) {
    MESSAGE("chromium is not installed: its page is not opened");
    return;
  }
  auto served = std::make_unique<Served>(make_app(folder));
  const std::string host = served->address().str();
  Browser browser;
  browser.open("http://" + host + "/?name=Page");
  CHECK(browser.wait_for("document.getElementById('state')?.textContent === 'connected'") == true);
  green::http::ClientSession session;
  green::http::WebSocket anna = session.ws_connect("ws://" + host + "/chat?name=Anna");
  anna.send_str("hello, p\xc3\xa4ge");
  CHECK(anna.receive_json(60).at("name") == "Anna");
  CHECK(browser.wait_for("document.querySelector('li')?.textContent") ==
        "Anna: hello, p\xc3\xa4ge");
  browser.wait_for(
      "(document.getElementById('text').value = 'hello, Anna', "
      "document.querySelector('button').click(), true)");
  CHECK(anna.receive_json(60) == json{{"name", "Page"}, {"text", "hello, Anna"}});
  CHECK(browser.wait_for("document.querySelectorAll('li')[1]?.textContent") == "Page: hello, Anna");
  anna.close();
  served.reset();
  CHECK(browser.wait_for("document.getElementById('state').textContent.startsWith('closed') && "
                         "document.getElementById('state').textContent") == "closed 1001");
}

#include <green/backdoor.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <green/convenience.hpp>
#include <green/event.hpp>

#include <filesystem>
#include <ostream>
#include <sys/socket.h>
#include <unistd.h>

namespace {

// Sends lines and reads up to the next prompt.
class Client {
 public:
  explicit Client(const green::Address& address) : socket_(green::connect(address)) {
    banner_ = answer();
  }
  const std::string& banner() const { return banner_; }
  std::string operator()(const std::string& line) {
    socket_.sendall(line + "\n");
    return answer();
  }
  // What comes up to the prompt, or to the end.
  std::string answer() {
    std::string text;
    while (text.find(">>> ") == std::string::npos) {
      const std::string more = socket_.recv(1000);
      if (more.empty()) return text;
      text += more;
    }
    REQUIRE(text.substr(text.size() - 4) == ">>> ");
    return text.substr(0, text.size() - 4);
  }
  green::Socket& socket() { return socket_; }

 private:
  green::Socket socket_;
  std::string banner_;
};

struct Backdoor {
  explicit Backdoor(const green::Address& address)
      : listener(green::listen(address)),
        serving(green::spawn([this] { green::backdoor::server(listener); })) {}
  Backdoor() : Backdoor(green::Address("127.0.0.1", 0)) {}
  ~Backdoor() {
    listener.close();
    serving.wait();
  }
  green::Socket listener;
  green::GreenThread<void> serving;
  green::Address address() const { return listener.getsockname(); }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void check_console(const green::Address& address) {
  Client client(address);
  CHECK(has(client.banner(), "process " + std::to_string(getpid())));
  CHECK(has(client("help"), "kill ID"));
  CHECK(client("") == "");
  CHECK(client("quit") == "");
  CHECK(client.socket().recv(1) == "");
}

[[gnu::noinline]] void waits_for_ever(green::Event<>& event) {
  event.wait();
  __asm__ volatile("");
}

}  // namespace

// test_server
TEST_CASE("a console over TCP") { check_console(Backdoor().address()); }

// test_server_on_ipv6_socket
TEST_CASE("a console over TCP of IPv6") {
  const Backdoor backdoor(green::Address("::1", 0));
  check_console(backdoor.address());
}

// test_server_on_unix_socket
TEST_CASE("a console over a unix socket") {
  char folder[] = "/tmp/backdoor-XXXXXX";
  REQUIRE(mkdtemp(folder));
  {
    const Backdoor backdoor(green::Address::unix_path(std::string(folder) + "/socket"));
    check_console(backdoor.address());
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("ps, bt and kill reach a green thread by its id") {
  const Backdoor backdoor;
  green::Event<> event;
  auto victim = green::spawn([&] { waits_for_ever(event); });
  victim.set_name("victim");
  const std::string id = std::to_string(victim.id());
  Client client(backdoor.address());
  const std::string listed = client("ps");
  CHECK(has(listed, id + " waiting"));
  CHECK(has(listed, "victim, an event"));
  CHECK(has(listed, "running"));
  CHECK(has(listed, "backdoor-"));
  CHECK(has(client("bt " + id), "waits_for_ever"));
  CHECK(client("kill " + id) == "killed\n");
  CHECK(victim.dead());
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(client("kill " + id) == "nobody has the id " + id + "; ps lists who is alive\n");
  CHECK(client("bt " + id) == "nobody has the id " + id + "; ps lists who is alive\n");
  CHECK_FALSE(has(client("ps"), "victim"));
}

TEST_CASE("timers, listeners and transitions") {
  const Backdoor backdoor;
  Client client(backdoor.address());
  CHECK(client("timers") == "none\n");
  auto sleeper = green::spawn([] { green::sleep(1000); });
  green::sleep(0);
  CHECK(has(client("timers"), "sleep for green thread " + std::to_string(sleeper.id())));
  CHECK(has(client("listeners"),
            "descriptor " + std::to_string(backdoor.listener.fileno()) + ": reader"));
  green::debug::transitions(true);
  green::awaitlet([]() -> aio::task<void> { co_return; }());
  green::debug::transitions(false);
  CHECK(client("transitions").find("sync->async") != std::string::npos);
  sleeper.kill();
}

TEST_CASE("a command that makes no sense gets a clear line, and the console goes on") {
  const Backdoor backdoor;
  Client client(backdoor.address());
  CHECK(client("print('hi')") == "unknown command 'print('hi')'; help lists them\n");
  CHECK(client("ps all") == "unknown command 'ps all'; help lists them\n");
  CHECK(client("kill") == "not an id: ''; ps lists them\n");
  CHECK(client("bt x") == "not an id: 'x'; ps lists them\n");
  CHECK(client("bt 1x") == "not an id: '1x'; ps lists them\n");
  CHECK(client("kill -1") == "not an id: '-1'; ps lists them\n");
  CHECK(client("kill 99999999999999999999999") ==
        "not an id: '99999999999999999999999'; ps lists them\n");
  CHECK(client("kill 4000000000") == "nobody has the id 4000000000; ps lists who is alive\n");
  CHECK(has(client("  help \r"), "kill ID"));
}

TEST_CASE("lines that come in pieces, or many at once") {
  const Backdoor backdoor;
  Client client(backdoor.address());
  client.socket().sendall("tim");
  green::sleep(0.005);
  client.socket().sendall("ers\n");
  CHECK(client.answer() == "none\n");
  client.socket().sendall("timers\ntimers\nquit\n");
  std::string all;
  for (std::string more; !(more = client.socket().recv(1000)).empty();) all += more;
  CHECK(all == "none\n>>> none\n>>> ");
}

TEST_CASE("a line without an end closes the console") {
  const Backdoor backdoor;
  Client client(backdoor.address());
  client.socket().sendall(std::string(5000, 'x'));
  CHECK(client.answer() == "");
}

TEST_CASE("many consoles at once, each with its own line") {
  const Backdoor backdoor;
  std::vector<green::GreenThread<void>> clients;
  for (int i = 0; i < 20; ++i)
    clients.push_back(green::spawn([&] {
      Client client(backdoor.address());
      for (int j = 0; j < 5; ++j) CHECK(has(client("bt " + std::to_string(100'000 + j)), "nobody"));
    }));
  for (auto& client : clients) client.wait();
}

// test_quick_client_disconnect
TEST_CASE("who hangs up at once, or with a reset, does not end the server") {
  const Backdoor backdoor;
  for (int i = 0; i < 20; ++i) {
    green::Socket client = green::connect(backdoor.address());
    if (i % 2) {
      const linger at_once{1, 0};
      ::setsockopt(client.fileno(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    if (i % 3) client.sendall("ps\nps\nps\n");
    client.close();
  }
  check_console(backdoor.address());
  CHECK_FALSE(backdoor.serving.dead());
}

TEST_CASE("a console that is killed, or kills itself, closes its connection only") {
  const Backdoor backdoor;
  Client client(backdoor.address());
  Client other(backdoor.address());
  const std::string listed = client("ps");
  const std::size_t row = listed.rfind('\n', listed.find("running"));
  const std::string own = listed.substr(row + 1, 6);
  CHECK(client("kill " + own.substr(own.find_first_not_of(' '))) == "");
  CHECK(has(other("help"), "ps"));
}

TEST_CASE("killing the server leaves consoles that are open") {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  auto serving = green::spawn([&] { green::backdoor::server(listener); });
  Client client(listener.getsockname());
  serving.kill();
  CHECK_THROWS_AS(serving.wait(), green::GreenletExit);
  CHECK(has(client("help"), "ps"));
  CHECK_FALSE(listener.closed());
}

TEST_CASE("a coroutine can serve, and cancelling it ends the serving") {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  auto serving = aio::create_task(green::backdoor::server_async(listener));
  check_console(listener.getsockname());
  serving.cancel();
  CHECK_THROWS_AS(green::awaitlet(serving), aio::CancelledError);
}

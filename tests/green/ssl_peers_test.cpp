#include "../ssl_support.hpp"
#include "../support.hpp"

#include <aio/subprocess.hpp>
#include <green/event.hpp>
#include <green/stream_server.hpp>

#include <algorithm>
#include <cstdlib>

// Against the programs of others: openssl, curl, Python.

using green::Address;
using green::Socket;
using test::certificates;
using test::client_options;
using test::server_options;

namespace {

aio::Process start(const std::string& command) {
  aio::ProcessOptions options;
  options.in = options.out = aio::PIPE;
  options.err = aio::STDOUT;
  return green::awaitlet(aio::create_subprocess_shell("exec " + command, options));
}

// What a command prints that gets this as its input.
std::string run(const std::string& command, const std::string& input = "") {
  return green::awaitlet(start(command).communicate(input)).first;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string noise(std::size_t bytes) {
  std::string data(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<char>('a' + i * i % 23);
  return data;
}

// A server that gives each connection to `handle`.
class Server {
 public:
  explicit Server(std::function<void(Socket&)> handle, aio::SslOptions options = server_options())
      : listener_(green::wrap_ssl(green::listen(Address("127.0.0.1", 0)), std::move(options))),
        serving_(green::spawn([this, handle] {
          green::serve(listener_, [&](Socket connection, Address) {
            try {
              handle(connection);
            } catch (const std::system_error& error) {
              failures += error.what() + std::string("\n");
            }
          });
        })) {}
  ~Server() { serving_.kill(); }

  std::string address() const {
    return "127.0.0.1:" + std::to_string(listener_.getsockname().port());
  }
  std::string url() const {
    return "https://localhost:" + std::to_string(listener_.getsockname().port()) + "/";
  }
  std::string failures;

 private:
  Socket listener_;
  green::GreenThread<void> serving_;
};

void echo(Socket& connection) {
  for (std::string data; !(data = connection.recv(10'000)).empty();) connection.sendall(data);
  connection.shutdown(SHUT_WR);
}

// One HTTP request, answered with `body`.
std::function<void(Socket&)> answering(std::string body) {
  return [body](Socket& connection) {
    std::string request;
    while (!holds(request, "\r\n\r\n")) {
      const std::string part = connection.recv(1000);
      if (part.empty()) return;
      request += part;
    }
    connection.sendall("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                       std::to_string(body.size()) + "\r\n\r\n" + body);
  };
}

std::string line_with(aio::Process& process, const std::string& text) {
  for (;;) {
    const std::string line = green::awaitlet(process.out().readline());
    if (line.empty() || holds(line, text)) return line;
  }
}

// A server of the command line that prints its port after `before`.
class Peer {
 public:
  Peer(const std::string& command, const std::string& before) : process_(start(command)) {
    const std::string line = line_with(process_, before);
    REQUIRE(!line.empty());
    port_ = static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(before.back()) + 1)));
  }
  ~Peer() {
    if (!process_.returncode()) process_.kill();
    green::awaitlet(process_.wait());
  }
  Address address() const { return {"127.0.0.1", port_}; }
  aio::Process& process() noexcept { return process_; }

 private:
  aio::Process process_;
  std::uint16_t port_ = 0;
};

std::string s_server(const std::string& options) {
  return "openssl s_server -accept 127.0.0.1:0 -cert " + certificates().certificate("server") +
         " -key " + certificates().key("server") + " " + options;
}

std::string s_client(const Server& server, const std::string& options) {
  return "openssl s_client -connect " + server.address() + " -CAfile " +
         certificates().certificate("ca") + " -verify_return_error -verify_hostname localhost " +
         options;
}

// A script for Python, with the names of the files, ahead of what is given.
std::string python(const std::string& script) {
  return "python3 -u -c 'import socket, ssl, sys\nca = \"" + certificates().certificate("ca") +
         "\"\ncert = \"" + certificates().certificate("server") + "\"\nkey = \"" +
         certificates().key("server") + "\"\n" + script + "'";
}

// It may have ended by itself.
void stop(aio::Process& process) {
  try {
    process.kill();
  } catch (const std::system_error& error) {
    CHECK(error.code().value() == ESRCH);
  }
}

}  // namespace

TEST_CASE("openssl s_client talks to our server, in TLS 1.3 and 1.2, not before") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    const Server server(echo);
    for (const std::string version : {"-tls1_3", "-tls1_2"}) {
      aio::Process client = start(s_client(server, "-quiet " + version));
      client.in().write("hello there\n");
      CHECK(line_with(client, "hello") == "hello there\n");
      client.terminate();
      green::awaitlet(client.wait());
    }
    CHECK(holds(run(s_client(server, "-tls1_1 -cipher ALL:@SECLEVEL=0")), "alert"));
  });
}

TEST_CASE("keys are updated under way, and nothing else happens") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    Server server(echo);
    aio::Process client = start(s_client(server, "-tls1_3"));
    line_with(client, "Verify return code");
    client.in().write("first\n");
    CHECK(line_with(client, "first") == "first\n");
    client.in().write("K\n");
    CHECK(holds(line_with(client, "KEYUPDATE"), "KEYUPDATE"));
    client.in().write("second\n");
    CHECK(line_with(client, "second") == "second\n");
    stop(client);
    green::awaitlet(client.wait());
    CHECK(!holds(server.failures, "error"));
  });
}

TEST_CASE("a client may not renegotiate") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    Server server(echo);
    aio::Process client = start(s_client(server, "-tls1_2"));
    line_with(client, "Verify return code");
    client.in().write("first\n");
    CHECK(line_with(client, "first") == "first\n");
    client.in().write("R\n");
    CHECK(!line_with(client, "no renegotiation").empty());
    stop(client);
    green::awaitlet(client.wait());
  });
}

TEST_CASE("our client talks to openssl s_server, in TLS 1.3 and 1.2, and resumes") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    for (const std::string version : {"1_3", "1_2"}) {
      Peer peer(s_server("-rev -tls" + version), "ACCEPT 127.0.0.1:");
      for (const bool again : {false, true}) {
        Socket client = green::wrap_ssl(green::connect(peer.address()), client_options());
        CHECK(green::ssl_info(client).version == (version == "1_3" ? "TLSv1.3" : "TLSv1.2"));
        client.sendall("hello\n");
        std::string answer;
        while (!holds(answer, "\n")) answer += client.recv(100);
        CHECK(answer == "olleh\n");
        CHECK(green::ssl_info(client).session_reused == again);
      }
    }
  });
}

TEST_CASE("curl fetches from our server") {
  if (!test::peer_installed("curl")) return;
  test::in_green_thread([] {
    const std::string body = noise(5'000'000);
    Server server(answering(body));
    const std::string curl = "curl -sS --noproxy \"*\" --cacert ";
    const std::string ca = certificates().certificate("ca") + " ";
    CHECK(run(curl + ca + server.url()) == body);
    CHECK(run(curl + ca + "--tls-max 1.2 " + server.url()) == body);
    CHECK(
        holds(run(curl + certificates().certificate("server") + " --resolve other:443:127.0.0.1 " +
                  "--connect-to other:443:" + server.address() + " https://other/"),
              "curl: (60)"));
    CHECK(!holds(server.failures, "eof"));
  });
}

TEST_CASE("curl shows its certificate") {
  if (!test::peer_installed("curl")) return;
  test::in_green_thread([] {
    aio::SslOptions options = server_options();
    options.ca_certs = certificates().certificate("ca");
    std::string subject;
    Server server(
        [&](Socket& connection) {
          answering("seen")(connection);
          subject = green::ssl_info(connection).peer_certificate->subject;
        },
        options);
    const std::string curl =
        "curl -sS --noproxy \"*\" --cacert " + certificates().certificate("ca") + " ";
    CHECK(run(curl + "--cert " + certificates().certificate("client") + " --key " +
              certificates().key("client") + " " + server.url()) == "seen");
    CHECK(subject == "CN=client");
    CHECK(holds(run(curl + server.url()), "alert"));
  });
}

TEST_CASE("Python's client talks to our server, and leaves it in order") {
  if (!test::peer_installed("python3")) return;
  test::in_green_thread([] {
    Server server(echo);
    const std::string port = server.address().substr(server.address().find(':') + 1);
    CHECK(run(python(R"(
import threading
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(["h2"])
raw = socket.create_connection(("127.0.0.1", )" +
                     port + R"())
client = context.wrap_socket(raw, server_hostname="localhost")
data = b"0123456789abcdef" * 200000
threading.Thread(target=client.sendall, args=(data,)).start()
received = b""
while len(received) < len(data): received += client.recv(65536)
print(received == data, client.version())
client.unwrap()
print("unwrapped"))")) == "True TLSv1.3\nunwrapped\n");
    CHECK(server.failures == "");
  });
}

TEST_CASE("Python's client sees the end, and no truncation, of a server that stops") {
  if (!test::peer_installed("python3")) return;
  test::in_green_thread([] {
    green::Event<> begun;
    auto handle = [&](Socket socket, const Address&) {
      CHECK(socket.recv(100) == "request");
      begun.send();
      CHECK(socket.recv(100) == "");
      socket.sendall("answer");
    };
    Socket listener = green::listen(Address("127.0.0.1", 0));
    green::StreamServer server(green::wrap_ssl(std::move(listener), server_options()), handle);
    server.start();
    auto client = green::spawn([&] {
      return run(python(R"(
context = ssl.create_default_context(cafile=ca)
raw = socket.create_connection(("127.0.0.1", )" +
                        std::to_string(server.address().port()) + R"())
client = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
client.sendall(b"request")
print(client.recv(100), client.recv(100)))"));
    });
    begun.wait();
    server.stop(test::watchdog);
    CHECK(client.wait() == "b'answer' b''\n");
  });
}

TEST_CASE("our client talks to Python's server, and may go without reading its tickets") {
  if (!test::peer_installed("python3")) return;
  test::in_green_thread([] {
    Peer peer(python(R"(
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
context.set_alpn_protocols(["http/1.1"])
listener = socket.create_server(("127.0.0.1", 0))
print("port:", listener.getsockname()[1], sep="")
with context.wrap_socket(listener, server_side=True, suppress_ragged_eofs=False) as server:
    for i in range(2):
        with server.accept()[0] as connection:
            total = 0
            while data := connection.recv(65536): total += len(data)
            print(total, connection.selected_alpn_protocol())
            if i == 1:
                connection.sendall(b"thanks")
                connection.unwrap())"),
              "port:");
    const std::string data = noise(2'000'000);
    aio::SslOptions options = client_options();
    options.alpn = {"h2", "http/1.1"};
    {
      Socket client = green::wrap_ssl(green::connect(peer.address()), options);
      client.sendall(data);
    }
    CHECK(line_with(peer.process(), " ") == "2000000 http/1.1\n");
    Socket client = green::wrap_ssl(green::connect(peer.address()), options);
    client.sendall(data);
    client.shutdown(SHUT_WR);
    CHECK(test::read_all(client) == "thanks");
    CHECK(line_with(peer.process(), " ") == "2000000 http/1.1\n");
  });
}

#include "../ssl_peers.hpp"

#include <green/event.hpp>
#include <green/stream_server.hpp>

// The programs of others talk to us: openssl, curl, Python.

using green::Address;
using green::Socket;
using test::certificates;
using test::client_options;
using test::curl;
using test::echo;
using test::holds;
using test::line_with;
using test::PeerServer;
using test::python;
using test::run;
using test::s_client;
using test::server_options;
using test::start;
using test::TlsServer;

TEST_CASE("openssl s_client talks to our server, in TLS 1.3 and 1.2, not before") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    const TlsServer server(echo);
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
    TlsServer server(echo);
    aio::Process client = start(s_client(server, "-tls1_3"));
    line_with(client, "Verify return code");
    client.in().write("first\n");
    CHECK(line_with(client, "first") == "first\n");
    client.in().write("K\n");
    CHECK(holds(line_with(client, "KEYUPDATE"), "KEYUPDATE"));
    client.in().write("second\n");
    CHECK(line_with(client, "second") == "second\n");
    test::stop(client);
    CHECK(!holds(server.failures, "error"));
  });
}

TEST_CASE("a client may not renegotiate") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    TlsServer server(echo);
    aio::Process client = start(s_client(server, "-tls1_2"));
    line_with(client, "Verify return code");
    client.in().write("first\n");
    CHECK(line_with(client, "first") == "first\n");
    client.in().write("R\n");
    CHECK(!line_with(client, "no renegotiation").empty());
    test::stop(client);
  });
}

TEST_CASE("a server may not renegotiate either") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    PeerServer peer = test::s_server("-tls1_2");
    Socket client = green::wrap_ssl(green::connect(peer.address()), client_options());
    peer.process().in().write("first\n");
    CHECK(client.recv(100) == "first\n");
    peer.process().in().write("r\n");
    CHECK_THROWS_AS(client.recv(100), green::SslError);
    CHECK(holds(line_with(peer.process(), "no renegotiation"), "no renegotiation"));
  });
}

TEST_CASE("our client talks to openssl s_server, in TLS 1.3 and 1.2, and resumes") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    for (const std::string version : {"1_3", "1_2"}) {
      PeerServer peer = test::s_server("-rev -tls" + version);
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

TEST_CASE("curl fetches from our server, in TLS 1.3 and 1.2") {
  if (!test::peer_installed("curl")) return;
  test::in_green_thread([] {
    const std::string body = test::noise(5'000'000);
    std::string version;
    TlsServer server([&](Socket& connection) {
      test::answering(body)(connection);
      version = green::ssl_info(connection).version;
    });
    CHECK((run(curl(server, "--tlsv1.3")) == body));
    CHECK(version == "TLSv1.3");
    CHECK((run(curl(server, "--tls-max 1.2")) == body));
    CHECK(version == "TLSv1.2");
    CHECK(holds(run(curl(server, "--tls-max 1.1 --ciphers ALL:@SECLEVEL=0")), "alert"));
    CHECK(holds(run("curl -sS --noproxy \"*\" --cacert " + certificates().certificate("ca") +
                    " --connect-to other:443:" + server.address() + " https://other/"),
                "curl: (60)"));
    CHECK(!holds(server.failures, "eof"));
  });
}

TEST_CASE("Python's client talks to our server in TLS 1.3 and 1.2, and leaves it in order") {
  if (!test::peer_installed("python3")) return;
  test::in_green_thread([] {
    for (const std::string version : {"TLSv1_3", "TLSv1_2"}) {
      TlsServer server(echo);
      CHECK(run(python(R"(
context = ssl.create_default_context(cafile=ca)
context.maximum_version = ssl.TLSVersion.)" +
                           version + R"(
raw = socket.create_connection(("127.0.0.1", port))
client = context.wrap_socket(raw, server_hostname="localhost")
data = b"0123456789abcdef" * 200000
threading.Thread(target=client.sendall, args=(data,)).start()
received = b""
while len(received) < len(data): received += client.recv(65536)
print(received == data, client.version().replace(".", "_"))
client.unwrap()
print("unwrapped"))",
                       server.port())) == "True " + version + "\nunwrapped\n");
      CHECK(server.failures == "");
    }
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
raw = socket.create_connection(("127.0.0.1", port))
client = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
client.sendall(b"request")
print(client.recv(100), client.recv(100)))",
                        std::to_string(server.address().port())));
    });
    begun.wait();
    server.stop(test::watchdog);
    CHECK(client.wait() == "b'answer' b''\n");
  });
}

TEST_CASE("our client talks to Python's server, and may go without reading its tickets") {
  if (!test::peer_installed("python3")) return;
  test::in_green_thread([] {
    const std::string data = test::noise(2'000'000);
    for (const std::string version : {"1.3", "1.2"}) {
      PeerServer peer(python(R"(
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
context.maximum_version = ssl.TLSVersion.TLSv)" +
                             std::string(version == "1.3" ? "1_3" : "1_2") + R"(
context.set_alpn_protocols(["http/1.1"])
listener = socket.create_server(("127.0.0.1", 0))
print("port:", listener.getsockname()[1], sep="")
with context.wrap_socket(listener, server_side=True, suppress_ragged_eofs=False) as server:
    for i in range(2):
        with server.accept()[0] as connection:
            total = 0
            while data := connection.recv(65536): total += len(data)
            print(total, connection.selected_alpn_protocol(), connection.version())
            if i == 1:
                connection.sendall(b"thanks")
                connection.unwrap())"),
                      "port:");
      aio::SslOptions options = client_options();
      options.alpn = {"h2", "http/1.1"};
      const std::string report = "2000000 http/1.1 TLSv" + version + "\n";
      {
        Socket client = green::wrap_ssl(green::connect(peer.address()), options);
        client.sendall(data);
      }
      CHECK(line_with(peer.process(), " ") == report);
      Socket client = green::wrap_ssl(green::connect(peer.address()), options);
      client.sendall(data);
      client.shutdown(SHUT_WR);
      CHECK(test::read_all(client) == "thanks");
      CHECK(line_with(peer.process(), " ") == report);
    }
  });
}

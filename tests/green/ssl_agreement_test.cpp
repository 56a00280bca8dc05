#include "../ssl_peers.hpp"

#include <filesystem>

// What we agree on with the programs of others, as they see it: sessions, certificates, protocols,
// names.

using green::Socket;
using green::SslInfo;
using test::certificates;
using test::CertificateSpec;
using test::client_options;
using test::curl;
using test::file_options;
using test::holds;
using test::line_with;
using test::PeerServer;
using test::run;
using test::s_client;
using test::server_options;
using test::TlsServer;

namespace {

// A server that answers a line with the same, and keeps what each connection has agreed on.
class Recorder : public TlsServer {
 public:
  explicit Recorder(aio::SslOptions options = server_options())
      : TlsServer(
            [this](Socket& connection) {
              const std::string line = connection.recv(1000);
              seen.push_back(green::ssl_info(connection));
              connection.sendall(line);
              connection.recv(1000);
            },
            std::move(options)) {}
  std::vector<SslInfo> seen;
};

// All that s_client prints up to its end, which comes once it has its answer; that may stand in the
// middle of a line of its own.
std::string talk(const TlsServer& server, const std::string& options) {
  aio::Process client = test::start(s_client(server, options));
  client.in().write("hello there\n");
  std::string all;
  for (;;) {
    const std::string line = green::awaitlet(client.out().readline());
    if (line.empty()) break;
    all += line;
    if (holds(line, "hello there\n")) client.in().write("Q\n");
  }
  green::awaitlet(client.wait());
  return all;
}

aio::SslOptions demanding_options() {
  aio::SslOptions options = server_options();
  options.ca_certs = certificates().certificate("ca");
  return options;
}

aio::SslOptions with_certificate(const std::string& name) {
  aio::SslOptions options = client_options();
  options.certfile = certificates().certificate(name);
  options.keyfile = certificates().key(name);
  return options;
}

// One whom nobody trusts.
void make_stranger() {
  CertificateSpec stranger;
  stranger.issuer = "";
  stranger.common_name = "stranger";
  certificates().make("stranger", stranger);
}

// What our client gets for a line from a server that turns them round; or why it gets nothing.
std::string answer_or_error(const PeerServer& peer, const aio::SslOptions& options) {
  try {
    Socket client = green::wrap_ssl(green::connect(peer.address()), options);
    client.sendall("hello\n");
    std::string answer;
    while (!holds(answer, "\n")) {
      const std::string part = client.recv(100);
      if (part.empty()) return "the end";
      answer += part;
    }
    return answer;
  } catch (const green::SslError& error) {
    return error.what();
  }
}

constexpr const char* versions[] = {"-tls1_3", "-tls1_2"};

}  // namespace

TEST_CASE("s_client resumes the session that it kept of our server") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    const std::string kept = certificates().folder() + "/session";
    for (const std::string version : versions) {
      Recorder server;
      const std::string first = talk(server, version + " -sess_out " + kept);
      CHECK(holds(first, "New, TLSv1"));
      REQUIRE(std::filesystem::exists(kept));
      const std::string second = talk(server, version + " -sess_in " + kept);
      CHECK(holds(second, "Reused, TLSv1"));
      CHECK(!holds(second, "New, TLSv1"));
      REQUIRE(server.seen.size() == 2);
      CHECK(!server.seen[0].session_reused);
      CHECK(server.seen[1].session_reused);
      CHECK(server.seen[1].version == (version == "-tls1_3" ? "TLSv1.3" : "TLSv1.2"));
      std::filesystem::remove(kept);
    }
  });
}

TEST_CASE("s_client reconnects five times with one session") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    const TlsServer server(test::echo);
    const std::string all = talk(server, "-tls1_2 -reconnect");
    int reused = 0;
    for (std::size_t at = 0; (at = all.find("Reused, TLSv1.2", at)) != std::string::npos; ++at)
      ++reused;
    CHECK(reused == 5);
  });
}

TEST_CASE("a client with a certificate that our server requires is let in, others are not") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    make_stranger();
    Recorder server(demanding_options());
    for (const std::string version : versions) {
      server.seen.clear();
      const std::string accepted = talk(server, version + file_options("client"));
      CHECK(holds(accepted, "hello there\n"));
      CHECK(holds(accepted, "Acceptable client certificate CA names\nCN = Test CA"));
      REQUIRE(server.seen.size() == 1);
      REQUIRE(server.seen[0].peer_certificate);
      CHECK(server.seen[0].peer_certificate->subject == "CN=client");
      CHECK(server.failures == "");
      const std::string without = talk(server, version);
      CHECK(holds(without,
                  version == "-tls1_3" ? "alert certificate required" : "alert handshake failure"));
      CHECK(!holds(without, "hello there"));
      CHECK(holds(server.failures, "peer did not return a certificate"));
      const std::string stranger = talk(server, version + file_options("stranger"));
      CHECK(holds(stranger, "alert unknown ca"));
      CHECK(!holds(stranger, "hello there"));
      CHECK(holds(server.failures, "self-signed certificate"));
      CHECK(server.seen.size() == 1);
      server.failures.clear();
    }
  });
}

TEST_CASE("curl shows its certificate") {
  if (!test::peer_installed("curl")) return;
  test::in_green_thread([] {
    std::string subject;
    TlsServer server(
        [&](Socket& connection) {
          test::answering("seen")(connection);
          subject = green::ssl_info(connection).peer_certificate->subject;
        },
        demanding_options());
    CHECK(run(curl(server, "--cert " + certificates().certificate("client") + " --key " +
                               certificates().key("client"))) == "seen");
    CHECK(subject == "CN=client");
    CHECK(holds(run(curl(server)), "alert"));
  });
}

TEST_CASE("s_server lets in our client with its certificate, and no other") {
  if (!test::peer_installed("openssl")) return;
  test::Quiet quiet;
  test::in_green_thread([] {
    make_stranger();
    for (const std::string version : versions) {
      PeerServer peer = test::s_server(version + " -rev -Verify 1 -verify_return_error -CAfile " +
                                       certificates().certificate("ca"));
      CHECK(answer_or_error(peer, with_certificate("client")) == "olleh\n");
      CHECK(holds(line_with(peer.process(), "Peer certificate:"), "CN = client"));
      CHECK(holds(answer_or_error(peer, client_options()),
                  version == "-tls1_3" ? "certificate required" : "handshake failure"));
      CHECK(holds(answer_or_error(peer, with_certificate("stranger")), "unknown ca"));
    }
  });
}

TEST_CASE("s_client is told the protocol that our server chose, and our server whom it asked for") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    aio::SslOptions options = server_options();
    options.alpn = {"h2", "http/1.1"};
    Recorder server(options);
    for (const std::string version : versions) {
      server.seen.clear();
      CHECK(holds(talk(server, version + " -alpn http/1.1,h2 -servername other.test"),
                  "ALPN protocol: h2\n"));
      CHECK(holds(talk(server, version + " -alpn http/1.1 -noservername"),
                  "ALPN protocol: http/1.1\n"));
      CHECK(
          holds(talk(server, version + " -alpn imap -servername localhost"), "No ALPN negotiated"));
      REQUIRE(server.seen.size() == 3);
      CHECK(server.seen[0].alpn == "h2");
      CHECK(server.seen[0].server_hostname == "other.test");
      CHECK(server.seen[1].alpn == "http/1.1");
      CHECK(server.seen[1].server_hostname == "");
      CHECK(server.seen[2].alpn == "");
      CHECK(server.seen[2].server_hostname == "localhost");
    }
  });
}

TEST_CASE("s_server reads the protocols and the name of our client, which gets its choice") {
  if (!test::peer_installed("openssl")) return;
  test::in_green_thread([] {
    for (const std::string version : versions) {
      PeerServer peer = test::s_server(
          version + " -alpn h2,http/1.1 -servername other.test -cert2 " +
          certificates().certificate("server") + " -key2 " + certificates().key("server"));
      aio::SslOptions options = client_options();
      options.alpn = {"http/1.1", "h2"};
      Socket client = green::wrap_ssl(green::connect(peer.address()), options);
      client.sendall("hello\n");
      CHECK(holds(line_with(peer.process(), "Hostname in TLS"), "\"localhost\""));
      CHECK(line_with(peer.process(), "advertised by") ==
            "ALPN protocols advertised by the client: http/1.1, h2\n");
      CHECK(line_with(peer.process(), "selected") == "ALPN protocols selected: h2\n");
      CHECK(green::ssl_info(client).alpn == "h2");
      CHECK(line_with(peer.process(), "hello") == "hello\n");
    }
  });
}

#include "../ssl_support.hpp"
#include "../support.hpp"

#include <algorithm>
#include <fstream>

using green::Socket;
using green::SslInfo;
using test::certificates;
using test::CertificateSpec;
using test::client_options;
using test::server_options;
using test::ssl_pair;
using test::SslPair;

namespace {

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// What the client's handshake with a server of this certificate throws; "": nothing.
std::string refusal(const std::string& certificate, const std::string& host,
                    const std::string& authority = "ca") {
  try {
    ssl_pair(client_options(host, authority), server_options(certificate));
  } catch (const green::SslCertVerificationError& error) {
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void echo(Socket connection) {
  for (std::string data; !(data = connection.recv(1000)).empty();) connection.sendall(data);
}

}  // namespace

TEST_CASE("two ends agree on TLS 1.3 and talk") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    pair.client.sendall("ping");
    CHECK(pair.server.recv(100) == "ping");
    pair.server.sendall("pong");
    CHECK(pair.client.recv(100) == "pong");
    const SslInfo info = green::ssl_info(pair.client);
    CHECK(info.version == "TLSv1.3");
    CHECK(holds(info.cipher, "TLS_"));
    CHECK(info.alpn == "");
    REQUIRE(info.peer_certificate);
    CHECK(info.peer_certificate->subject == "CN=localhost");
    CHECK(info.peer_certificate->issuer == "CN=Test CA");
    CHECK(info.peer_certificate->subject_alt_names ==
          std::vector<std::string>{"DNS:localhost", "IP Address:127.0.0.1", "IP Address:::1"});
    CHECK(info.peer_certificate->not_before < std::chrono::system_clock::now());
    CHECK(info.peer_certificate->not_after > std::chrono::system_clock::now());
    CHECK(!info.peer_certificate->serial_number.empty());
    CHECK(info.peer_certificate->der.size() > 100);
    CHECK(green::ssl_info(pair.server).server_hostname == "localhost");
    CHECK(!green::ssl_info(pair.server).peer_certificate);
  });
}

TEST_CASE("the end that a peer announces is an empty recv, again and again") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    pair.client.sendall("last");
    pair.client.close();
    CHECK(pair.server.recv(100) == "last");
    CHECK(pair.server.recv(100) == "");
    CHECK(pair.server.recv(100) == "");
  });
}

TEST_CASE("shutdown ends one direction, the other goes on") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    pair.client.sendall("question");
    pair.client.shutdown(SHUT_WR);
    CHECK(test::read_all(pair.server) == "question");
    pair.server.sendall("answer");
    pair.server.shutdown(SHUT_WR);
    CHECK(test::read_all(pair.client) == "answer");
    CHECK_THROWS_WITH_AS(pair.client.send("x"), doctest::Contains("send"), std::system_error);
  });
}

TEST_CASE("a listener that is wrapped accepts TLS connections") {
  test::in_green_thread([] {
    Socket listener =
        green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), server_options());
    auto server = green::spawn([&] {
      green::serve(listener,
                   [](Socket connection, green::Address) { echo(std::move(connection)); });
    });
    for (int i = 0; i < 3; ++i) {
      Socket client =
          green::wrap_ssl(green::connect(listener.getsockname()), client_options("127.0.0.1"));
      client.sendall("hello");
      CHECK(client.recv(100) == "hello");
    }
    server.kill();
  });
}

TEST_CASE("a client that stalls in its handshake holds up no other") {
  test::in_green_thread([] {
    Socket listener =
        green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), server_options());
    Socket stalled = green::connect(listener.getsockname());
    auto server = green::spawn([&] {
      green::serve(listener, [](Socket connection, green::Address) {
        try {
          echo(std::move(connection));
        } catch (const green::SslError&) {
        }
      });
    });
    Socket client = green::wrap_ssl(green::connect(listener.getsockname()), client_options());
    client.sendall("hello");
    CHECK(client.recv(100) == "hello");
    server.kill();
  });
}

TEST_CASE("a socket that is wrapped first shakes hands when it connects") {
  test::Quiet quiet;
  test::in_green_thread([] {
    Socket listener = green::wrap_ssl(Socket(), server_options());
    listener.bind(green::Address("127.0.0.1", 0));
    listener.listen();
    auto server = green::spawn([&] { echo(listener.accept().first); });
    Socket client = green::wrap_ssl(Socket(), client_options());
    client.connect(listener.getsockname());
    CHECK(green::ssl_info(client).version == "TLSv1.3");
    client.sendall("hello");
    CHECK(client.recv(100) == "hello");
    client.close();
    server.wait();
    Socket refused = green::wrap_ssl(Socket(), client_options("other.test"));
    auto second = green::spawn([&] { echo(listener.accept().first); });
    CHECK_THROWS_AS(refused.connect(listener.getsockname()), green::SslCertVerificationError);
    CHECK_THROWS_WITH_AS(second.wait(), doctest::Contains("bad certificate"), green::SslError);
  });
}

TEST_CASE("a connect that was cut short in its handshake goes on with it") {
  test::in_green_thread([] {
    Socket listener = green::listen(green::Address("127.0.0.1", 0));
    Socket client = green::wrap_ssl(Socket(), client_options());
    client.settimeout(0.01);
    for (int i = 0; i < 3; ++i) CHECK(client.connect_ex(listener.getsockname()) == ETIMEDOUT);
    client.settimeout(60);
    auto server =
        green::spawn([&] { echo(green::wrap_ssl(listener.accept().first, server_options())); });
    CHECK(client.connect_ex(listener.getsockname()) == 0);
    client.sendall("hello");
    CHECK(client.recv(100) == "hello");
    CHECK(client.connect_ex(listener.getsockname()) == EISCONN);
    server.kill();
  });
}

TEST_CASE("a client refuses a certificate that is not to be trusted, and says why") {
  test::Quiet quiet;
  CertificateSpec expired;
  expired.first_day = -10;
  expired.last_day = -2;
  certificates().make("expired", expired);
  CertificateSpec early;
  early.first_day = 5;
  certificates().make("early", early);
  CertificateSpec alone;
  alone.issuer = "";
  certificates().make("alone", alone);
  CertificateSpec stranger;
  stranger.issuer = "";
  stranger.authority = true;
  stranger.common_name = "Stranger";
  certificates().make("stranger", stranger);
  CertificateSpec wild;
  wild.alt_names = {"DNS:*.example.test"};
  certificates().make("wild", wild);
  CertificateSpec other;
  other.alt_names = {"DNS:other.test"};  // its common name is localhost
  certificates().make("other", other);
  test::in_green_thread([] {
    CHECK(refusal("server", "localhost") == "");
    CHECK(refusal("server", "localhost.") == "");
    CHECK(refusal("server", "LOCALHOST") == "");
    CHECK(refusal("server", "127.0.0.1") == "");
    CHECK(refusal("server", "::1") == "");
    CHECK(refusal("alone", "localhost", "alone") == "");
    CHECK(refusal("wild", "www.example.test") == "");
    CHECK(refusal("server", "localhost", "stranger") ==
          "TLS handshake with localhost: certificate verify failed: "
          "unable to get local issuer certificate");
    CHECK(holds(refusal("server", "example.test"), "hostname mismatch"));
    CHECK(holds(refusal("server", "localhost.test"), "hostname mismatch"));
    CHECK(holds(refusal("server", "127.0.0.2"), "IP address mismatch"));
    CHECK(holds(refusal("other", "localhost"), "hostname mismatch"));
    CHECK(holds(refusal("wild", "example.test"), "hostname mismatch"));
    CHECK(holds(refusal("wild", "a.b.example.test"), "hostname mismatch"));
    CHECK(holds(refusal("wild", "127.0.0.1"), "IP address mismatch"));
    CHECK(holds(refusal("expired", "localhost"), "has expired"));
    CHECK(holds(refusal("early", "localhost"), "not yet valid"));
    CHECK(holds(refusal("alone", "localhost"), "self-signed"));
  });
}

TEST_CASE("without ca_certs a client trusts those whom the system trusts") {
  test::in_green_thread([] {
    aio::SslOptions options = client_options();
    options.ca_certs = "";
    CHECK_THROWS_AS(ssl_pair(options), green::SslCertVerificationError);
  });
}

TEST_CASE("a client that does not verify takes any certificate") {
  test::in_green_thread([] {
    aio::SslOptions options;
    options.verify = false;
    SslPair pair = ssl_pair(options);
    CHECK(green::ssl_info(pair.client).peer_certificate);
    CHECK(green::ssl_info(pair.server).server_hostname == "");
  });
}

TEST_CASE("a chain leads over certificates between") {
  CertificateSpec between;
  between.common_name = "Between";
  between.alt_names = {};
  between.authority = true;
  certificates().make("between", between);
  CertificateSpec leaf;
  leaf.issuer = "between";
  certificates().make("leaf", leaf);
  test::in_green_thread([] {
    CHECK(refusal("leaf", "localhost") == "");
    CHECK(refusal("leaf", "localhost", "between") == "");  // named, so trusted
  });
}

TEST_CASE("a server with ca_certs requires a certificate of its clients") {
  test::Quiet quiet;
  test::in_green_thread([] {
    aio::SslOptions server = server_options();
    server.ca_certs = certificates().certificate("ca");
    aio::SslOptions client = client_options();
    client.certfile = certificates().certificate("client");
    client.keyfile = certificates().key("client");
    SslPair pair = ssl_pair(client, server);
    pair.client.sendall("x");
    CHECK(pair.server.recv(1) == "x");
    const SslInfo info = green::ssl_info(pair.server);
    REQUIRE(info.peer_certificate);
    CHECK(info.peer_certificate->subject == "CN=client");

    auto [client_end, server_end] = test::connected_pair();
    auto serving = green::spawn(
        [&, end = std::move(server_end)]() mutable { green::wrap_ssl(std::move(end), server); });
    Socket without = green::wrap_ssl(std::move(client_end), client_options());
    CHECK_THROWS_WITH_AS(without.recv(1), doctest::Contains("certificate required"),
                         green::SslError);
    CHECK_THROWS_WITH_AS(serving.wait(), doctest::Contains("peer did not return a certificate"),
                         green::SslError);
    server.verify = false;
    CHECK(!green::ssl_info(ssl_pair(client, server).server).peer_certificate);
  });
}

TEST_CASE("protocols are agreed on as the server prefers") {
  test::in_green_thread([] {
    aio::SslOptions client = client_options();
    client.alpn = {"http/1.1", "h2"};
    aio::SslOptions server = server_options();
    server.alpn = {"h2", "http/1.1"};
    SslPair pair = ssl_pair(client, server);
    CHECK(green::ssl_info(pair.client).alpn == "h2");
    CHECK(green::ssl_info(pair.server).alpn == "h2");
    server.alpn = {"imap"};
    CHECK(green::ssl_info(ssl_pair(client, server).client).alpn == "");
    CHECK(green::ssl_info(ssl_pair(client_options(), server).server).alpn == "");
  });
}

TEST_CASE("a protocol and a host name that cannot be are named, with their NUL bytes") {
  test::in_green_thread([] {
    green::SslOptions protocol = client_options();
    const std::string long_one = std::string("a\0b", 3) + std::string(300, 'c');
    protocol.alpn = {"h2", ""};
    CHECK_THROWS_WITH_AS(green::wrap_ssl(Socket(), protocol), doctest::Contains("has 0: ''"),
                         std::invalid_argument);
    protocol.alpn = {long_one};
    CHECK_THROWS_WITH_AS(green::wrap_ssl(Socket(), protocol),
                         doctest::Contains("has 303: 'a\\0bcc"), std::invalid_argument);
    CHECK_THROWS_WITH_AS(green::wrap_ssl(Socket(), client_options(long_one)),
                         doctest::Contains("server_hostname is no host name: 'a\\0bcc"),
                         std::invalid_argument);
  });
}

TEST_CASE("ciphers choose, for TLS 1.3 and before") {
  test::in_green_thread([] {
    aio::SslOptions client = client_options();
    client.ciphers = "TLS_CHACHA20_POLY1305_SHA256";
    CHECK(green::ssl_info(ssl_pair(client).client).cipher == client.ciphers);
    client.ciphers = "no such cipher";
    CHECK_THROWS_WITH_AS(ssl_pair(client), doctest::Contains("no cipher match"),
                         std::invalid_argument);
  });
}

TEST_CASE("the second connection to a server resumes the session of the first") {
  test::in_green_thread([] {
    Socket listener =
        green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), server_options());
    auto server = green::spawn([&] {
      green::serve(listener,
                   [](Socket connection, green::Address) { echo(std::move(connection)); });
    });
    auto connect = [&](const aio::SslOptions& options) {
      Socket client = green::wrap_ssl(green::connect(listener.getsockname()), options);
      client.sendall("x");
      client.recv(1);
      return green::ssl_info(client);
    };
    CHECK(!connect(client_options()).session_reused);
    const SslInfo second = connect(client_options());
    CHECK(second.session_reused);
    CHECK(second.peer_certificate);
    CHECK(connect(client_options()).session_reused);
    CHECK(!connect(client_options("127.0.0.1")).session_reused);  // whom it proved to be counts
    aio::SslOptions unverified = client_options();
    unverified.verify = false;
    CHECK(!connect(unverified).session_reused);
    server.kill();
  });
}

TEST_CASE("options that cannot work say so, with the file and the rule") {
  const auto wrap = [](const aio::SslOptions& options) {
    return error_of([&] { ssl_pair(options); });
  };
  test::in_green_thread([&] {
    aio::SslOptions options;
    CHECK(holds(wrap(options), "server_hostname"));
    options = client_options(std::string("local\0host", 10));
    CHECK(holds(wrap(options), "server_hostname"));
    options = client_options();
    options.ca_certs = "/nowhere/ca.pem";
    CHECK(wrap(options) == "SslOptions: ca_certs /nowhere/ca.pem: No such file or directory");
    options.ca_certs = certificates().key("ca");
    CHECK(holds(wrap(options), certificates().key("ca") + " holds no certificate"));
    options = server_options();
    options.certfile = options.keyfile = "";
    CHECK(holds(wrap(options), "certfile"));
    options.certfile = certificates().certificate("server");
    CHECK(holds(wrap(options), "server.pem holds no private key"));
    options.keyfile = certificates().key("client");
    CHECK(holds(wrap(options), "client.key is not the key of certfile"));
    options = client_options();
    options.keyfile = certificates().key("client");
    CHECK(holds(wrap(options), "without a certfile"));
    options = client_options();
    options.alpn = {""};
    CHECK(holds(wrap(options), "alpn"));
    options.alpn = {std::string(256, 'x')};
    CHECK(holds(wrap(options), "alpn"));
  });
}

TEST_CASE("a certificate that was renewed is used from then on") {
  test::in_green_thread([] {
    CertificateSpec spec;
    certificates().make("renewed", spec);
    const auto serial = [] {
      return green::ssl_info(ssl_pair(client_options(), server_options("renewed")).client)
          .peer_certificate->serial_number;
    };
    const std::string first = serial();
    CHECK(serial() == first);
    certificates().make("renewed", spec);
    CHECK(serial() != first);
  });
}

TEST_CASE("a key with a passphrase is refused, nobody is asked for it") {
  const std::string command = "openssl ec -aes128 -passout pass:secret -in " +
                              certificates().key("server") + " -out " +
                              certificates().key("locked") + " 2>/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  test::in_green_thread([] {
    aio::SslOptions options = server_options();
    options.keyfile = certificates().key("locked");
    CHECK_THROWS_WITH_AS(green::wrap_ssl(test::connected_pair().first, options),
                         doctest::Contains("without a passphrase"), std::invalid_argument);
  });
}

TEST_CASE("a directory of authorities is searched by hash") {
  const std::string folder = certificates().folder() + "/authorities";
  const std::string command = "mkdir " + folder + " && cp " + certificates().certificate("ca") +
                              " " + folder + " && openssl rehash " + folder;
  REQUIRE(std::system(command.c_str()) == 0);
  test::in_green_thread([&] {
    aio::SslOptions options = client_options();
    options.ca_certs = folder;
    SslPair pair = ssl_pair(options);
    pair.client.sendall("x");
    CHECK(pair.server.recv(1) == "x");
  });
}

TEST_CASE("misuse is told at once") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    CHECK_THROWS_AS(pair.client.dup(), std::logic_error);
    CHECK_THROWS_AS(green::wrap_ssl(std::move(pair.client), client_options()), std::logic_error);
    CHECK_THROWS_AS(green::wrap_ssl(Socket(AF_INET, SOCK_DGRAM), client_options()),
                    std::invalid_argument);
    auto [one, other] = test::connected_pair();
    CHECK_THROWS_AS(green::ssl_info(one), std::logic_error);
    CHECK_THROWS_AS(green::unwrap_ssl(std::move(one)), std::logic_error);
    other.close();
    CHECK_THROWS_AS(green::wrap_ssl(std::move(other), client_options()), std::system_error);
  });
}

TEST_CASE("a socket is unwrapped once both ends have said so, and goes on in the clear") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    auto server = green::spawn([&] {
      CHECK(pair.server.recv(100) == "secret");
      Socket plain = green::unwrap_ssl(std::move(pair.server));
      plain.sendall("clear");
      return plain.recv(100);
    });
    pair.client.sendall("secret");
    Socket plain = green::unwrap_ssl(std::move(pair.client));
    CHECK(plain.recv(100) == "clear");
    plain.sendall("too");
    CHECK(server.wait() == "too");
  });
}

TEST_CASE("an unwrapped socket is no encrypted one any more, and can be wrapped again") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    auto server = green::spawn([&] {
      Socket plain = green::unwrap_ssl(std::move(pair.server));
      plain.sendall("in the clear, ");  // may come together with the end of TLS
      Socket again = green::wrap_ssl(std::move(plain), server_options());
      again.sendall("and secret again");
      return again.recv(10);
    });
    Socket plain = green::unwrap_ssl(std::move(pair.client));
    CHECK_THROWS_AS(green::ssl_info(plain), std::logic_error);
    CHECK(plain.makefile().readexactly(14) == "in the clear, ");
    Socket again = green::wrap_ssl(std::move(plain), client_options());
    CHECK(again.recv(100) == "and secret again");
    CHECK_THROWS_AS(again.dup(), std::logic_error);
    again.sendall("done");
    CHECK(server.wait() == "done");
  });
}

TEST_CASE("an unwrapped socket can be shared, and is refused what only TLS has") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    auto server = green::spawn([&] { return green::unwrap_ssl(std::move(pair.server)); });
    Socket client = green::unwrap_ssl(std::move(pair.client));
    Socket peer = std::move(server).wait();
    Socket copy = client.dup();
    copy.sendall("from the copy");
    CHECK(peer.recv(100) == "from the copy");
    CHECK_THROWS_AS(green::unwrap_ssl(std::move(copy)), std::logic_error);
  });
}

TEST_CASE("a peer that does not speak TLS is an error that says so") {
  test::in_green_thread([] {
    auto [client, server] = test::connected_pair();
    client.sendall("GET / HTTP/1.1\r\n\r\n");
    CHECK_THROWS_WITH_AS(green::wrap_ssl(std::move(server), server_options()),
                         doctest::Contains("TLS handshake: http request"), green::SslError);
    auto [second, peer] = test::connected_pair();
    peer.close();
    CHECK_THROWS_AS(green::wrap_ssl(std::move(second), client_options()), std::system_error);
  });
}

// A TLS server of green threads, a blocking client and a coroutine's.

#include <aio/ssl.hpp>
#include <green/green.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

namespace {

void serve(green::Socket& listener) {
  green::serve(listener, [](green::Socket peer, green::Address) {
    try {
      for (std::string data; !(data = peer.recv(1000)).empty();) peer.sendall("echo: " + data);
    } catch (const green::SslError& error) {  // a peer that does not trust us, or speaks no TLS
      std::cerr << error.what() << '\n';
    }
  });
}

std::string ask(const green::Address& address, const aio::SslOptions& options) {
  green::Socket socket = green::wrap_ssl(green::connect(address), options);
  socket.sendall("hello from a green thread\n");
  return socket.recv(1000) + green::ssl_info(socket).version + '\n';
}

aio::task<std::string> ask_async(aio::Address address, aio::SslOptions options) {
  aio::Stream stream = co_await aio::open_connection(address, options);
  stream.write("hello from a coroutine\n");
  co_return co_await stream.readline();
}

// A certificate for localhost that vouches for itself.
bool make_certificate(const std::string& folder) {
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
      "-subj /CN=localhost -addext subjectAltName=DNS:localhost -days 1 "
      "-keyout " +
      folder + "/key.pem -out " + folder + "/cert.pem 2>/dev/null";
  return std::system(command.c_str()) == 0;
}

}  // namespace

int main() {
  char folder[] = "/tmp/uvlet-tls-XXXXXX";
  if (!::mkdtemp(folder) || !make_certificate(folder)) return 1;
  const std::string certfile = std::string(folder) + "/cert.pem";

  aio::SslOptions for_server;
  for_server.server_side = true;
  for_server.certfile = certfile;
  for_server.keyfile = std::string(folder) + "/key.pem";
  green::Socket listener =
      green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), for_server);
  auto server = green::spawn([&] { serve(listener); });

  aio::SslOptions for_client;
  for_client.ca_certs = certfile;
  for_client.server_hostname = "localhost";
  std::cout << ask(listener.getsockname(), for_client);
  std::cout << green::awaitlet(ask_async(listener.getsockname(), for_client));

  for_client.server_hostname = "example.com";
  try {
    ask(listener.getsockname(), for_client);
  } catch (const green::SslCertVerificationError& error) {
    std::cout << error.what() << '\n';
  }
  server.kill();
  std::filesystem::remove_all(folder);
}

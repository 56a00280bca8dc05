// The library's, as a user writes them.

#include "servers.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <string>
#include <system_error>

namespace {

constexpr std::size_t read_bytes = 64 * 1024;
constexpr int backlog = 1024;
constexpr int concurrency = 100'000;

void echo(green::Socket connection, const green::Address&) {
  try {
    for (;;) {
      const std::string data = connection.recv(read_bytes);
      if (data.empty()) return;
      connection.sendall(data);
    }
  } catch (const std::system_error&) {  // the peer has gone
  }
}

aio::task<void> echo_stream(aio::Stream connection) {
  for (;;) {
    const std::string data = co_await connection.read(read_bytes);
    if (data.empty()) co_return;
    connection.write(data);
    co_await connection.drain();
  }
}

aio::task<void> serve_streams(std::uint16_t port) {
  aio::Server server = co_await aio::start_server(echo_stream, aio::Address("127.0.0.1", port));
  co_await server.wait_closed();
}

}  // namespace

void serve_green(std::uint16_t port) {
  green::Socket listener = green::listen(green::Address("127.0.0.1", port), backlog);
  green::serve(listener, echo, concurrency);
}

void serve_aio(std::uint16_t port) { aio::run(serve_streams(port)); }

void serve_two_hubs(std::uint16_t port) {
  uvlet::run_on_threads(2, [port](int) { serve_green(port); });
}

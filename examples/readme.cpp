#include <aio/aio.hpp>
#include <green/green.hpp>
#include <iostream>
#include <string>
#include <vector>

// New code: a coroutine at the I/O edge.
aio::task<std::size_t> line_bytes_async(aio::Address address) {
  aio::Stream stream = co_await aio::open_connection(address);
  const std::string line = co_await stream.readline();
  co_return line.size();
}

// Old code keeps its signature: its callers need not know.
std::size_t line_bytes(const aio::Address& address) {
  return green::awaitlet(line_bytes_async(address));
}

int main() {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  auto server = green::spawn([&] {  // eventlet's style: calls that simply block
    green::serve(listener, [](green::Socket peer, green::Address) {
      green::sleep(0.05);
      peer.sendall("hello\n");
    });
  });
  green::GreenPool pool(10);
  const std::vector<green::Address> addresses(20, listener.getsockname());
  std::size_t total = 0;
  for (std::size_t bytes : pool.imap(line_bytes, addresses)) total += bytes;
  std::cout << total << " bytes, ten connections at a time\n";
  server.kill();
}

#include "../ssl_support.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>

#include <algorithm>
#include <cstdint>
#include <span>

// Much data in both directions at once, in the memory of little.

using green::Socket;
using test::ssl_pair;
using test::SslPair;

namespace {

constexpr std::size_t chunk_bytes = 16 * 1024;

// Each way: a gigabyte where UVLET_STORM is 10.
std::size_t chunks() { return test::operations((std::size_t{1} << 30) / chunk_bytes / 10 + 1); }

// What is sent, chunk by chunk; no two chunks near each other are the same.
class Pattern {
 public:
  Pattern() {
    std::uint64_t state = 1;
    for (char& each : bytes_) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      each = static_cast<char>(state >> 56);
    }
  }
  std::string_view chunk(std::size_t index) const {
    return std::string_view(bytes_).substr(index * chunk_bytes % period, chunk_bytes);
  }

 private:
  static constexpr std::size_t period = 1'000'003;
  std::string bytes_ = std::string(period + chunk_bytes, '\0');
};
const Pattern& pattern() {
  static const Pattern made;
  return made;
}

// The memory in use, looked at now and then.
class Memory {
 public:
  void look(std::size_t chunk) {
    if (chunk == 64) before_ = test::resident_bytes();
    if (chunk % 64 == 0) most_ = std::max(most_, test::resident_bytes());
  }
  bool flat() const { return before_ > 0 && most_ < before_ + test::memory_leeway; }

 private:
  std::size_t before_ = 0;
  std::size_t most_ = 0;
};

void send_green(Socket& socket) {
  for (std::size_t i = 0; i < chunks(); ++i) socket.sendall(pattern().chunk(i));
  socket.shutdown(SHUT_WR);
}

// How many chunks came as they were sent, up to the end.
std::size_t receive_green(Socket& socket, Memory& memory) {
  std::string buffer(chunk_bytes, '\0');
  for (std::size_t i = 0;; ++i) {
    std::size_t filled = 0;
    while (filled < chunk_bytes) {
      const std::size_t got = socket.recv_into(std::span(buffer).subspan(filled));
      if (got == 0) return filled == 0 ? i : 0;
      filled += got;
    }
    if (buffer != pattern().chunk(i)) return 0;
    memory.look(i);
  }
}

aio::task<void> send_aio(aio::Stream stream) {
  for (std::size_t i = 0; i < chunks(); ++i) {
    stream.write(pattern().chunk(i));
    co_await stream.drain();
  }
  stream.write_eof();
}

aio::task<std::size_t> receive_aio(aio::Stream stream, Memory& memory) {
  std::size_t i = 0;
  for (; i < chunks(); ++i) {
    const std::string part = co_await stream.readexactly(chunk_bytes);
    if (part != pattern().chunk(i)) co_return 0;
    memory.look(i);
  }
  const std::string end = co_await stream.read(1);
  co_return end.empty() ? i : 0;
}

aio::task<void> talk(aio::Stream stream, aio::SslOptions options, Memory& memory) {
  co_await aio::start_tls(stream, std::move(options));
  aio::Future<void> sending = aio::create_task(send_aio(stream));
  const std::size_t received = co_await receive_aio(stream, memory);
  CHECK(received == chunks());
  co_await sending;
}

}  // namespace

TEST_CASE("green: both ends send and receive at once, much, in flat memory") {
  green::spawn([] {
    SslPair pair = ssl_pair();
    Memory memory;
    auto client_sends = green::spawn([&] { send_green(pair.client); });
    auto server_sends = green::spawn([&] { send_green(pair.server); });
    auto client_receives = green::spawn([&] { return receive_green(pair.client, memory); });
    CHECK(receive_green(pair.server, memory) == chunks());
    CHECK(client_receives.wait() == chunks());
    client_sends.wait();
    server_sends.wait();
    CHECK(memory.flat());
  }).wait();
}

TEST_CASE("aio: both ends send and receive at once, much, in flat memory") {
  Memory memory;
  auto [client, server] = test::connected_pair();
  auto at_client = talk(aio::Stream::from_fd(client.detach()), test::client_options(), memory);
  auto at_server = talk(aio::Stream::from_fd(server.detach()), test::server_options(), memory);
  aio::Future<void> serving = aio::create_task(std::move(at_server));
  green::awaitlet(std::move(at_client));
  green::awaitlet(serving);
  CHECK(memory.flat());
}

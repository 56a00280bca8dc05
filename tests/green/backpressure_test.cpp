// Who writes faster than the other end reads waits: nothing is piled up in between.

#include "sockets.hpp"

#include <aio/stream.hpp>
#include <green/file.hpp>

#include <algorithm>
#include <functional>
#include <uvlet/config.hpp>

using green::Socket;

namespace {

constexpr std::size_t block_bytes = 256 * 1024;

// Each sends so many blocks, then the end.
using Writer = std::function<void(Socket&, std::size_t blocks)>;

void send_blocks(Socket& socket, std::size_t blocks) {
  const std::string block(block_bytes, 'x');
  for (; blocks > 0; --blocks) socket.sendall(block);
  socket.close();
}

void write_file(Socket& socket, std::size_t blocks) {
  green::File file = socket.makefile();
  const std::string block(block_bytes, 'x');
  for (; blocks > 0; --blocks) file.write(block);
  file.close();
  socket.close();
}

aio::task<void> write_stream(aio::Stream stream, std::size_t blocks) {
  const std::string block(block_bytes, 'x');
  for (; blocks > 0; --blocks) {
    stream.write(block);
    co_await stream.drain();
  }
  stream.close();
  co_await stream.wait_closed();
}

// How many bytes came, and by how many the process grew once an eighth of them had.
struct Transfer {
  std::size_t received = 0;
  std::size_t growth = 0;
};

// By a reader that lets the writer run ahead as far as it may before each part that it reads.
Transfer read_slowly(const std::function<std::string(std::size_t)>& read, std::size_t bytes) {
  Transfer transfer;
  std::size_t before = 0, most = 0, parts = 0;
  for (;;) {
    green::sleep(0);
    const std::size_t part = read(100'000).size();
    if (part == 0) break;
    transfer.received += part;
    if (++parts % 16 != 0) continue;
    if (before == 0 && transfer.received > bytes / 8) before = test::resident_bytes();
    if (before != 0) most = std::max(most, test::resident_bytes());
  }
  REQUIRE(before > 0);
  transfer.growth = std::max(most, before) - before;
  return transfer;
}

void check_flat(const Transfer& transfer, std::size_t bytes) {
  CHECK(transfer.received == bytes);
#if !defined(UVLET_ASAN)  // it keeps what was freed for a while
  CHECK(transfer.growth < 1 << 20);
#endif
}

}  // namespace

TEST_CASE("a fast writer and a slow reader, a gigabyte in all: memory stays flat") {
  const std::size_t blocks = test::operations((1 << 30) / block_bytes / 8);
  const std::size_t bytes = blocks * block_bytes;
  const std::pair<const char*, Writer> writers[] = {
      {"Socket", send_blocks}, {"File", write_file}, {"Stream", [](Socket& socket, std::size_t count) {
                                                 green::awaitlet(write_stream(
                                                     aio::Stream::from_fd(socket.detach()), count));
                                               }}};
  for (const bool internet : {true, false}) {
    for (const auto& [name, write] : writers) {
      for (const bool to_stream : {false, true}) {
        const std::string who = std::string(name) + (internet ? ", tcp" : ", unix");
        CAPTURE(who);
        CAPTURE(to_stream);
        auto [from, to] = internet ? test::connected() : [] {
          test::UnixPair pair;
          return std::pair(std::move(pair.a), std::move(pair.b));
        }();
        auto writing = green::spawn(
            [&socket = from, &write_all = write, blocks] { write_all(socket, blocks); });
        if (to_stream) {
          aio::Stream stream = aio::Stream::from_fd(to.detach());
          const auto read = [&](std::size_t most) { return green::awaitlet(stream.read(most)); };
          check_flat(read_slowly(read, bytes), bytes);
        } else {
          const auto read = [&socket = to](std::size_t most) { return socket.recv(most); };
          check_flat(read_slowly(read, bytes), bytes);
        }
        writing.wait();
      }
    }
  }
}

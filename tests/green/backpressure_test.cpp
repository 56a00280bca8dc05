// Who writes faster than the other end reads waits: nothing is piled up in between.

#include "sockets.hpp"

#include <aio/stream.hpp>
#include <green/event.hpp>
#include <green/file.hpp>

#include <algorithm>
#include <functional>
#include <uvlet/config.hpp>

using green::Socket;

namespace {

constexpr std::size_t block_bytes = 256 * 1024;
constexpr std::size_t warm_up = 16;  // blocks

// What the writers send: the first blocks, and once they have been read the others.
struct Blocks {
  explicit Blocks(std::size_t blocks) : left(blocks) {}
  // Whether there is one more.
  bool next() {
    if (sent == warm_up) others.wait();
    return sent++ < left;
  }
  std::size_t left;
  std::size_t sent = 0;
  green::Event<> others;
  const std::string block = std::string(block_bytes, 'x');
};

// Each sends all blocks, then the end.
using Writer = std::function<void(Socket&, Blocks&)>;

void send_blocks(Socket& socket, Blocks& blocks) {
  while (blocks.next()) socket.sendall(blocks.block);
  socket.close();
}

void write_file(Socket& socket, Blocks& blocks) {
  green::File file = socket.makefile();
  while (blocks.next()) {
    file.write(blocks.block);
    file.flush();
  }
  file.close();
  socket.close();
}

aio::task<void> write_stream(aio::Stream stream, Blocks& blocks) {
  while (blocks.next()) {
    stream.write(blocks.block);
    co_await stream.drain();
    if (blocks.sent == warm_up) co_await stream.flush();
  }
  stream.close();
  co_await stream.wait_closed();
}

// How many bytes came, and by how many the process grew after the first blocks.
struct Transfer {
  std::size_t received = 0;
  std::size_t growth = 0;
};

// By a reader that lets the writer run ahead as far as it may before each part that it reads.
Transfer read_slowly(const std::function<std::string(std::size_t)>& read, Blocks& blocks) {
  Transfer transfer;
  while (transfer.received < warm_up * block_bytes) transfer.received += read(100'000).size();
  const std::size_t before = test::resident_bytes();
  std::size_t most = before, parts = 0;
  blocks.others.send();
  for (;;) {
    green::sleep(0);
    const std::size_t part = read(100'000).size();
    if (part == 0) break;
    transfer.received += part;
    if (++parts % 16 == 0) most = std::max(most, test::resident_bytes());
  }
  transfer.growth = most - before;
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
  const std::size_t bytes = block_bytes * test::operations((1 << 30) / block_bytes / 8);
  const std::pair<const char*, Writer> writers[] = {
      {"Socket", send_blocks},
      {"File", write_file},
      {"Stream", [](Socket& socket, Blocks& blocks) {
         green::awaitlet(write_stream(aio::Stream::from_fd(socket.detach()), blocks));
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
        Blocks blocks(bytes / block_bytes);
        auto writing =
            green::spawn([&, &socket = from, &write_all = write] { write_all(socket, blocks); });
        if (to_stream) {
          aio::Stream stream = aio::Stream::from_fd(to.detach());
          const auto read = [&](std::size_t most) { return green::awaitlet(stream.read(most)); };
          check_flat(read_slowly(read, blocks), bytes);
        } else {
          const auto read = [&socket = to](std::size_t most) { return socket.recv(most); };
          check_flat(read_slowly(read, blocks), bytes);
        }
        writing.wait();
      }
    }
  }
}

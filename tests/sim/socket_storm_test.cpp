// Sockets and streams whose transfers are cut short, refused and interrupted, in simulation.

#include "../support.hpp"
#include "harness.hpp"

#include <aio/aio.hpp>
#include <green/file.hpp>
#include <green/socket.hpp>

namespace {

using sim::require;
namespace testing = uvlet::testing;

std::string numbered(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>('!' + i % 90);
  return text;
}

std::string read_all(green::Socket& socket) {
  std::string all;
  for (std::string part; !(part = socket.recv(1 + testing::choose(200))).empty();) all += part;
  return all;
}

// What read() gives until it gives "", read by one after the other: each is killed, or late.
template <class F>
std::string read_by_the_exposed(F read) {
  std::string got;
  for (bool ended = false; !ended;) {
    auto reader = green::spawn([&] {
      const green::Timeout limit(0.002);
      for (std::string part; !(part = read()).empty();) got += part;
      ended = true;
    });
    testing::expose(reader);
    try {
      reader.wait();
    } catch (const uvlet::BaseException&) {  // killed, or late
    }
  }
  return got;
}

}  // namespace

TEST_CASE("every cut of a short message arrives whole") {
  testing::ExploreOptions options;
  options.faults.short_transfers = 1;
  const auto result = testing::explore(
      [] {
        const auto [first, second] = testing::stream_pair();
        green::Socket sender = green::Socket::from_fd(first);
        green::Socket receiver = green::Socket::from_fd(second);
        sender.sendall("abc\n");
        std::string got;
        while (got.size() < 4) got += receiver.recv(4 - got.size());
        require(got == "abc\n", "another message");
      },
      options);
  MESSAGE("cuts: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules >= 64);
}

TEST_CASE("messages both ways at once arrive whole, whatever is cut short or refused") {
  sim::storm("sockets", 100, [](std::uint64_t seed) {
    testing::SimulationOptions options(seed);
    options.faults.short_transfers = options.faults.would_block = 0.3;
    options.faults.delayed_wakes = 0.05;
    testing::simulate(options, [] {
      const std::string request = numbered(1000 + testing::choose(20'000));
      const std::string reply = numbered(1000 + testing::choose(20'000));
      const auto [first, second] = testing::stream_pair();
      auto client = green::spawn([&, fd = first] {
        green::Socket socket = green::Socket::from_fd(fd);
        auto writer = green::spawn([&] {
          socket.sendall(request);
          socket.shutdown(SHUT_WR);
        });
        const std::string got = read_all(socket);
        writer.wait();
        return got;
      });
      auto serve = [](aio::Stream stream, const std::string& answer) -> aio::task<std::string> {
        std::string got;
        stream.write(answer);
        while (!stream.at_eof()) got += co_await stream.read(100);
        stream.write_eof();
        co_await stream.drain();
        stream.close();
        co_await stream.wait_closed();
        co_return got;
      };
      require(green::awaitlet(serve(aio::Stream::from_fd(second), reply)) == request, "request");
      require(client.wait() == reply, "reply");
    });
  });
}

TEST_CASE("readers that are killed or late lose no byte") {
  const test::Quiet quiet;
  sim::storm("interrupted_readers", 100, [](std::uint64_t seed) {
    testing::SimulationOptions options(seed);
    options.faults.short_transfers = options.faults.would_block = 0.2;
    options.faults.kills = 0.05;
    const auto report = testing::simulate(options, [] {
      const std::string text = numbered(5000);
      const auto [first, second] = testing::stream_pair();
      green::Socket sender = green::Socket::from_fd(first);
      green::Socket receiver = green::Socket::from_fd(second);
      auto writer = green::spawn([&] {
        for (std::size_t at = 0; at < text.size(); at += 50) {
          sender.sendall(std::string_view(text).substr(at, 50));
          green::sleep(0.001);
        }
        sender.close();
      });
      const std::string got = read_by_the_exposed([&] { return receiver.recv(64); });
      writer.wait();
      require(got == text, "bytes are lost, or came twice");
    });
    require(report.left == 0, "somebody is left");
  });
}

TEST_CASE("close against whoever waits: each ends with EBADF, once") {
  sim::storm("close_races", 50, [](std::uint64_t seed) {
    testing::simulate(seed, [] {
      for (int i = 0; i < 20; ++i) {
        const auto [first, second] = testing::stream_pair();
        green::Socket ours = green::Socket::from_fd(first);
        green::Socket theirs = green::Socket::from_fd(second);
        int ended = 0;
        auto reader = green::spawn([&] {
          try {
            while (!ours.recv(10).empty()) {
            }
          } catch (const std::system_error& error) {
            require(error.code().value() == EBADF, "another error");
          }
          ++ended;
        });
        auto writer = green::spawn([&] {
          if (testing::choose(2) == 0) green::sleep(0);
          try {
            theirs.sendall("x");
          } catch (const std::system_error& error) {
            require(error.code().value() == EPIPE, "another error");
          }
        });
        auto closer = green::spawn([&] {
          for (std::size_t n = testing::choose(4); n > 0; --n) green::sleep(0);
          ours.close();
        });
        closer.wait();
        writer.wait();
        reader.wait();
        require(ended == 1, "a waiter ended twice, or never");
      }
    });
  });
}

TEST_CASE("every cut of what a File sends arrives whole") {
  testing::ExploreOptions options;
  options.faults.short_transfers = 1;
  const auto result = testing::explore(
      [] {
        const auto [first, second] = testing::stream_pair();
        green::File sender = green::Socket::from_fd(first).makefile();
        green::Socket receiver = green::Socket::from_fd(second);
        sender.write("ab");
        sender.write("c\n");
        sender.close();
        std::string got;
        while (got.size() < 4) got += receiver.recv(4 - got.size());
        require(got == "abc\n", "another line");
      },
      options);
  CHECK(result.complete);
  CHECK(result.schedules >= 64);
}

TEST_CASE("Files whose readers and writers are killed or late lose no byte, and repeat none") {
  const test::Quiet quiet;
  sim::storm("interrupted_files", 100, [](std::uint64_t seed) {
    testing::SimulationOptions options(seed);
    options.faults.short_transfers = options.faults.would_block = 0.2;
    options.faults.kills = 0.05;
    const auto report = testing::simulate(options, [] {
      const std::string text = numbered(5000);
      const auto [first, second] = testing::stream_pair();
      green::File sender = green::Socket::from_fd(first).makefile();
      green::File receiver = green::Socket::from_fd(second).makefile();
      std::size_t written = 0;
      auto writing = green::spawn([&] {
        while (written < text.size()) {
          auto writer = green::spawn([&] {
            const green::Timeout limit(0.002);
            while (written < text.size()) {
              sender.flush();
              const std::string_view part = std::string_view(text).substr(written, 50);
              sender.write(part);  // there is room: it does not wait
              written += part.size();
            }
          });
          testing::expose(writer);
          try {
            writer.wait();
          } catch (const uvlet::BaseException&) {  // killed, or late
          }
        }
        sender.close();
      });
      const std::string got = read_by_the_exposed([&] { return receiver.read(37); });
      writing.wait();
      require(got == text, "bytes are lost, or came twice");
    });
    require(report.left == 0, "somebody is left");
  });
}

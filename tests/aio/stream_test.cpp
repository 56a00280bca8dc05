#include "../green/sockets.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>
#include <aio/stream.hpp>
#include <aio/wait_for.hpp>
#include <green/awaitlet.hpp>
#include <green/convenience.hpp>
#include <green/socket.hpp>

#include <cerrno>
#include <optional>
#include <span>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <type_traits>
#include <utility>

using aio::Stream;
using green::Socket;
using test::receive_all;

namespace {

// A stream, and the plain socket at its other end.
struct Pair {
  Pair() {
    Socket listener = green::listen(green::Address("127.0.0.1", 0));
    stream.emplace(green::awaitlet(aio::open_connection(listener.getsockname())));
    peer.emplace(listener.accept().first);
  }
  std::optional<Stream> stream;
  std::optional<Socket> peer;
};

template <class T>
int errno_of(aio::task<T> work) {
  try {
    green::awaitlet(std::move(work));
  } catch (const std::system_error& error) {
    CHECK(error.code().category() == std::generic_category());
    return error.code().value();
  }
  return 0;
}

// More than the buffers of a connection hold.
constexpr std::size_t much = 32 * 1024 * 1024;

static_assert(std::is_base_of_v<std::runtime_error, aio::IncompleteReadError>);
static_assert(std::is_base_of_v<std::runtime_error, aio::LimitOverrunError>);

}  // namespace

TEST_CASE("read gives what there is, up to the maximum") {
  Pair both;
  both.peer->sendall("hello");
  CHECK(green::awaitlet(both.stream->read(2)) == "he");
  CHECK(green::awaitlet(both.stream->read(100)) == "llo");
  CHECK(green::awaitlet(both.stream->read(0)) == "");
  CHECK_FALSE(both.stream->at_eof());
}

TEST_CASE("at the end of the stream every read says so, in its own way") {
  Pair both;
  both.peer->sendall("tail");
  both.peer->shutdown(SHUT_WR);
  CHECK(green::awaitlet(both.stream->readline()) == "tail");
  CHECK(both.stream->at_eof());
  CHECK(green::awaitlet(both.stream->read(10)) == "");
  CHECK(green::awaitlet(both.stream->readline()) == "");
  CHECK(green::awaitlet(both.stream->readexactly(0)) == "");
  CHECK_THROWS_AS(green::awaitlet(both.stream->readexactly(1)), aio::IncompleteReadError);
  CHECK_THROWS_AS(green::awaitlet(both.stream->readuntil("x")), aio::IncompleteReadError);
}

TEST_CASE("the end is not reached while there is something left to read") {
  Pair both;
  both.peer->sendall("ab");
  both.peer->close();
  CHECK(green::awaitlet(both.stream->readexactly(1)) == "a");
  green::sleep(0.001);
  CHECK_FALSE(both.stream->at_eof());
  CHECK(green::awaitlet(both.stream->read(10)) == "b");
  CHECK(green::awaitlet(both.stream->read(10)) == "");
  CHECK(both.stream->at_eof());
}

TEST_CASE("readexactly waits for all of it, and gives what came if that is less") {
  Pair both;
  auto sender = green::spawn([&] {
    for (const char* part : {"12", "34", "56"}) {
      both.peer->sendall(part);
      green::sleep(0.001);
    }
    both.peer->close();
  });
  CHECK(green::awaitlet(both.stream->readexactly(5)) == "12345");
  try {
    green::awaitlet(both.stream->readexactly(5));
    FAIL("there is no more");
  } catch (const aio::IncompleteReadError& error) {
    CHECK(error.partial == "6");
    CHECK(error.expected == 5);
  }
  sender.wait();
}

TEST_CASE("readline takes lines that come in pieces, and empty ones") {
  Pair both;
  auto sender = green::spawn([&] {
    for (const char* part : {"fi", "rst\n\nsec", "ond\r\n", "last"}) {
      both.peer->sendall(part);
      green::sleep(0.001);
    }
    both.peer->close();
  });
  for (const char* line : {"first\n", "\n", "second\r\n", "last", ""})
    CHECK(green::awaitlet(both.stream->readline()) == line);
  sender.wait();
}

TEST_CASE("readuntil finds a separator that is cut in two") {
  Pair both;
  auto sender = green::spawn([&] {
    for (const char* part : {"head\r", "\n\r", "\nbody", "\r\n\r\n"}) {
      both.peer->sendall(part);
      green::sleep(0.001);
    }
  });
  CHECK(green::awaitlet(both.stream->readuntil("\r\n\r\n")) == "head\r\n\r\n");
  CHECK(green::awaitlet(both.stream->readuntil("\r\n\r\n")) == "body\r\n\r\n");
  CHECK_THROWS_AS(green::awaitlet(both.stream->readuntil("")), std::invalid_argument);
  sender.wait();
}

TEST_CASE("no separator within the limit is LimitOverrunError, and what came stays there") {
  Pair both;
  const std::string data(200 * 1024, 'x');
  auto sender = green::spawn([&] { both.peer->sendall(data + "\nend"); });
  CHECK_THROWS_AS(green::awaitlet(both.stream->readuntil("|")), aio::LimitOverrunError);
  CHECK(green::awaitlet(both.stream->readexactly(data.size())) == data);
  CHECK(green::awaitlet(both.stream->readline()) == "\n");
  CHECK(green::awaitlet(both.stream->readexactly(3)) == "end");
  sender.wait();
}

TEST_CASE("whether a separator is within the limit depends on the data, not on how they are cut") {
  const auto outcome = [](std::size_t before, const std::string& separator, std::size_t piece,
                          bool ends) {
    Pair both;
    const std::string data = std::string(before, 'x') + (ends ? "" : separator);
    auto sender = green::spawn([&] {
      for (std::size_t at = 0; at < data.size(); at += piece) {
        both.peer->sendall(std::string_view(data).substr(at, piece));
        green::sleep(0);
      }
      both.peer->shutdown(SHUT_WR);
    });
    std::string result;
    try {
      result = std::to_string(green::awaitlet(both.stream->readuntil(separator)).size());
    } catch (const aio::LimitOverrunError&) {
      result = "overrun";
    } catch (const aio::IncompleteReadError& error) {
      result = "incomplete " + std::to_string(error.partial.size());
    }
    sender.wait();
    return result;
  };
  constexpr std::size_t limit = 64 * 1024;
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{65537}, std::size_t{200000}}) {
    CHECK(outcome(limit, "|", piece, false) == std::to_string(limit + 1));
    CHECK(outcome(limit + 1, "|", piece, false) == "overrun");
    CHECK(outcome(limit, "ab", piece, false) == std::to_string(limit + 2));
    CHECK(outcome(limit + 1, "ab", piece, false) == "overrun");
    CHECK(outcome(limit + 1, "|", piece, true) == "overrun");
    CHECK(outcome(limit, "|", piece, true) == "incomplete " + std::to_string(limit));
  }
}

TEST_CASE("what is written arrives, without a drain") {
  Pair both;
  both.stream->write("one ");
  both.stream->write("");
  both.stream->write("two");
  CHECK(both.peer->recv(4) == "one ");
  CHECK(both.peer->recv(10) == "two");
  green::awaitlet(both.stream->drain());
}

TEST_CASE("write_eof ends one direction, the other goes on") {
  Pair both;
  both.stream->write("question");
  both.stream->write_eof();
  CHECK(receive_all(*both.peer) == "question");
  CHECK_THROWS_AS(both.stream->write("more"), std::logic_error);
  both.peer->sendall("answer");
  CHECK(green::awaitlet(both.stream->readexactly(6)) == "answer");
}

TEST_CASE("write_eof may be said twice, but not after close, even while data is unsent") {
  for (const std::string& data : {std::string("all"), std::string(much, 'x')}) {
    Pair both;
    both.stream->write(data);
    both.stream->write_eof();
    both.stream->write_eof();
    both.stream->close();
    CHECK_THROWS_WITH_AS(both.stream->write_eof(), "write_eof of a Stream that was closed",
                         std::logic_error);
    CHECK(receive_all(*both.peer) == data);
  }
}

TEST_CASE("write never waits, drain waits for the peer") {
  Pair both;
  both.stream->write(std::string(much, 'x'));
  bool drained = false;
  auto body = [&]() -> aio::task<> {
    co_await both.stream->drain();
    drained = true;
  };
  auto drains = aio::create_task(body());
  green::sleep(0.005);
  CHECK_FALSE(drained);
  both.stream->write_eof();
  CHECK(receive_all(*both.peer).size() == much);
  aio::run(drains);
  CHECK(drained);
}

TEST_CASE("a writer that always has something unsent keeps no more than that") {
  test::UnixPair ends;
  ends.a.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
  Stream stream = Stream::from_fd(ends.a.detach());
  const std::string part(4096, 'x');
  std::string into(part.size(), '\0');
  for (int i = 0; i < 8; ++i) stream.write(part);
  const std::size_t before = test::resident_bytes();
  for (std::size_t passed = 0; passed < 4 * much; passed += part.size()) {
    stream.write(part);
    for (std::size_t got = 0; got < part.size();)
      got += ends.b.recv_into(std::span(into).first(part.size() - got));
  }
  CHECK(test::resident_bytes() < before + much);
}

TEST_CASE("drain waits until little is left, not until all is sent") {
  constexpr std::size_t all = 100 * 1024;
  test::UnixPair ends;
  ends.a.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
  Stream stream = Stream::from_fd(ends.a.detach());
  stream.write(std::string(all, 'x'));
  auto drained = aio::create_task(stream.drain());
  auto flushed = aio::create_task(stream.flush());
  std::size_t got = 0;
  while (got < all / 2) got += ends.b.recv(1024).size();
  green::sleep(0.001);
  CHECK(!drained.done());
  while (got < all - 12 * 1024) got += ends.b.recv(1024).size();
  test::in_green_thread([&] { green::awaitlet(drained); });
  CHECK(!flushed.done());
  while (got < all) got += ends.b.recv(1024).size();
  test::in_green_thread([&] { green::awaitlet(flushed); });
}

TEST_CASE("a cancelled drain leaves the data on their way") {
  Pair both;
  both.stream->write(std::string(much, 'x'));
  CHECK_THROWS_AS(aio::run(aio::wait_for(both.stream->drain(), 0.002)), aio::TimeoutError);
  both.stream->close();
  CHECK(receive_all(*both.peer).size() == much);
}

TEST_CASE("close sends what was written first, and wait_closed waits for it") {
  Pair both;
  both.stream->write(std::string(much, 'x'));
  both.stream->close();
  auto closed = aio::create_task(both.stream->wait_closed());
  green::sleep(0.002);
  CHECK_FALSE(closed.done());
  CHECK(receive_all(*both.peer).size() == much);
  aio::run(closed);
  CHECK(both.stream->fileno() == -1);
  CHECK_THROWS_AS(both.stream->write("x"), std::logic_error);
  both.stream->close();
  green::awaitlet(both.stream->wait_closed());
}

TEST_CASE("a stream whose last handle goes away closes, after what was written") {
  Pair both;
  Stream other = *both.stream;
  both.stream->write(std::string(much, 'x'));
  both.stream.reset();
  other.write("end");
  { const Stream last = std::move(other); }
  CHECK(receive_all(*both.peer).size() == much + 3);
  CHECK_THROWS_AS(other.write("x"), std::logic_error);
}

TEST_CASE("close wakes who reads with EBADF") {
  Pair both;
  auto reads = green::spawn([&] { return errno_of(both.stream->read(10)); });
  green::sleep(0.001);
  both.stream->close();
  CHECK(reads.wait() == EBADF);
  CHECK(errno_of(both.stream->read(10)) == EBADF);
}

TEST_CASE("a second simultaneous reader is a logic error, and the first goes on") {
  Pair both;
  auto first = aio::create_task(both.stream->readline());
  green::sleep(0.001);
  CHECK_THROWS_AS(green::awaitlet(both.stream->read(1)), std::logic_error);
  both.peer->sendall("line\n");
  CHECK(aio::run(first) == "line\n");
}

TEST_CASE("one coroutine reads while another writes") {
  Pair both;
  auto reads = aio::create_task(both.stream->readline());
  green::sleep(0.001);
  both.stream->write("out");
  CHECK(both.peer->recv(10) == "out");
  both.peer->sendall("in\n");
  CHECK(aio::run(reads) == "in\n");
}

TEST_CASE("a read that is cut short loses nothing") {
  Pair both;
  both.peer->sendall("half");
  CHECK_THROWS_AS(aio::run(aio::wait_for(both.stream->readline(), 0.002)), aio::TimeoutError);
  auto killed = green::spawn([&] { green::awaitlet(both.stream->readexactly(100)); });
  green::sleep(0.001);
  killed.kill();
  CHECK(killed.dead());
  both.peer->sendall(" whole\n");
  CHECK(green::awaitlet(both.stream->readline()) == "half whole\n");
}

TEST_CASE("a reset is ECONNRESET for who reads, and an error for who drains") {
  Pair both;
  const linger now{1, 0};
  REQUIRE(setsockopt(both.peer->fileno(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  both.stream->write(std::string(much, 'x'));
  green::sleep(0.001);
  both.peer->close();
  CHECK_THROWS_AS(green::awaitlet(both.stream->drain()), std::system_error);
  both.stream->write("into the void");
  both.stream->close();
  green::awaitlet(both.stream->wait_closed());
  Pair other;
  REQUIRE(setsockopt(other.peer->fileno(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  other.peer->close();
  CHECK(errno_of(other.stream->read(1)) == ECONNRESET);
}

TEST_CASE("open_connection that is refused, or to a name that is none, throws") {
  Socket listener = green::listen(green::Address("127.0.0.1", 0));
  const green::Address gone = listener.getsockname();
  listener.close();
  CHECK(errno_of(aio::open_connection(gone)) == ECONNREFUSED);
  CHECK_THROWS_AS(green::awaitlet(aio::open_connection(aio::Address("nosuch.invalid", 80))),
                  uvlet::gaierror);
  CHECK(errno_of(aio::open_connection(aio::Address::unix_path("/nonexistent/x"))) == ENOENT);
}

TEST_CASE("open_connection looks names up") {
  Socket listener = green::listen(green::Address("localhost", 0));
  const aio::Address where("localhost", listener.getsockname().port());
  Stream stream = aio::run(aio::open_connection(where));
  stream.write("x");
  CHECK(listener.accept().first.recv(1) == "x");
}

TEST_CASE("reads that are never awaited do nothing; a read may outlive its handle") {
  Pair both;
  { auto unused = both.stream->read(10); }
  auto reads = aio::create_task(both.stream->readline());
  both.peer->sendall("line\n");
  CHECK(aio::run(reads) == "line\n");
  auto holder = [](Stream stream) -> aio::task<std::string> {
    co_return co_await stream.readline();
  };
  auto held = aio::create_task(holder(std::move(*both.stream)));
  green::sleep(0.001);
  both.peer->sendall("held\n");
  CHECK(aio::run(held) == "held\n");
}

TEST_CASE("a hundred streams echo at once") {
  Socket listener = green::listen(green::Address("127.0.0.1", 0));
  auto server = green::spawn([&] {
    green::serve(listener,
                 [](Socket socket, const green::Address&) { socket.sendall(receive_all(socket)); });
  });
  auto body = [](green::Address where, int i) -> aio::task<bool> {
    Stream stream = co_await aio::open_connection(where);
    const std::string text = "number " + std::to_string(i) + "\n";
    stream.write(text);
    stream.write_eof();
    const std::string echo = co_await stream.readline();
    co_return echo == text;
  };
  std::vector<aio::Future<bool>> all;
  for (int i = 0; i < 100; ++i) all.push_back(aio::create_task(body(listener.getsockname(), i)));
  int right = 0;
  for (auto& one : all) right += green::awaitlet(one);
  CHECK(right == 100);
  server.kill();
}

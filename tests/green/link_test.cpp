#include <green/greenthread.hpp>

#include "../standard_error.hpp"
#include "sleeper.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

using green::GreenletExit;

using test::Failure;
using test::sleeper;

}  // namespace

TEST_CASE("links run in the finished thread, in order, before waiters resume") {
  test::Log log;
  auto thread = green::spawn([&] {
    green::sleep(0);
    log("body");
    return 6;
  });
  auto waiter = green::spawn([&] {
    thread.wait();
    log("waiter");
  });
  green::Greenlet where;
  thread.link([&](green::GreenThread<int> ended) {
    where = green::getcurrent();
    log("first" + std::to_string(ended.wait()));
  });
  thread.link(
      [&](green::GreenThread<int>, int a, const std::string& b) { log(b + std::to_string(a)); }, 2,
      "second");
  waiter.wait();
  CHECK(log.text() == "body first6 second2 waiter");
  CHECK(where == thread);
}

TEST_CASE("a link to one that has finished runs in the caller, at once") {
  auto thread = green::spawn([] { return 1; });
  thread.wait();
  green::Greenlet where;
  int got = 0;
  thread.link(
      [&](green::GreenThread<int> ended, int more) {
        where = green::getcurrent();
        got = ended.wait() + more;
      },
      10);
  CHECK(where == green::getcurrent());
  CHECK(got == 11);
}

TEST_CASE("links run for one that throws or is killed, and see it dead") {
  const test::Quiet quiet;
  test::Log log;
  auto note = [&](green::GreenThread<void> ended, std::string name) {
    try {
      ended.wait();
      log(name + ":fine");
    } catch (const GreenletExit&) {
      log(name + ":exit");
    } catch (const Failure&) {
      log(name + ":failure");
    }
  };
  auto failing = green::spawn([] { throw Failure("x"); });
  failing.link(note, std::string("a"));
  auto killed = sleeper();
  killed.link(note, std::string("b"));
  green::sleep(0);
  killed.kill();
  CHECK(log.text() == "a:failure b:exit");
}

TEST_CASE("unlink takes a link away, once") {
  test::Log log;
  auto thread = green::spawn([] {});
  const green::LinkId first = thread.link([&](green::GreenThread<void>) { log("first"); });
  const green::LinkId second = thread.link([&](green::GreenThread<void>) { log("second"); });
  CHECK(thread.unlink(first));
  CHECK_FALSE(thread.unlink(first));
  thread.wait();
  CHECK(log.text() == "second");
  CHECK_FALSE(thread.unlink(second));
}

TEST_CASE("links take std::ref arguments and move-only functions") {
  int count = 0;
  auto thread = green::spawn([] {});
  thread.link([](green::GreenThread<void>, int& counter) { ++counter; }, std::ref(count));
  thread.link([&, kept = std::make_unique<int>(5)](green::GreenThread<void>) { count += *kept; });
  thread.wait();
  CHECK(count == 6);
}

TEST_CASE("a link that throws ends the links after it, not the result, and is printed") {
  test::StandardError error;
  test::Log log;
  auto thread = green::spawn([] { return 2; });
  thread.set_name("linked");
  thread.link([&](green::GreenThread<int>) {
    log("first");
    throw Failure("of a link");
  });
  thread.link([&](green::GreenThread<int>) { log("second"); });
  CHECK(thread.wait() == 2);
  CHECK(log.text() == "first");
  CHECK(error.text().find("'linked'") != std::string::npos);
  CHECK(error.text().find("Failure: of a link") != std::string::npos);
}

TEST_CASE("a link may block and may link again") {
  test::Log log;
  auto thread = green::spawn([] { return 2; });
  thread.link([&](green::GreenThread<int> ended) {
    green::sleep(0.001);
    log("slow");
    ended.link([&](green::GreenThread<int>) { log("nested"); });
  });
  CHECK(thread.wait() == 2);
  CHECK(log.text() == "slow nested");
}

TEST_CASE("a link that a link makes is called behind those that were there") {
  test::Log log;
  auto thread = green::spawn([] { return 2; });
  const auto notes = [&](const char* what) {
    return [&log, what](green::GreenThread<int>) { log(what); };
  };
  thread.link([&](green::GreenThread<int> ended) {
    log("first");
    ended.link(notes("third"));
    log("first's end");
  });
  thread.link(notes("second"));
  CHECK(thread.wait() == 2);
  CHECK(log.text() == "first first's end second third");
  thread.link(notes("at once"));
  CHECK(log.entries().back() == "at once");
}

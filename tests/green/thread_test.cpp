#include <green/thread.hpp>

#include "../standard_error.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>

#include <memory>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unordered_set>

namespace {

template <class F>
std::errc error_of(F call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return static_cast<std::errc>(error.code().value());
  }
  return std::errc();
}

struct Adder {
  void add(int by) { sum += by; }
  int sum = 0;
};

}  // namespace

TEST_CASE("it runs its function with decayed arguments, and join waits for the end") {
  int result = 0;
  int counter = 0;
  const char text[] = "abc";
  auto moved = std::make_unique<int>(4);
  green::thread thread(
      [&result](const char* word, std::unique_ptr<int> number, int& referred) {
        green::this_thread::yield();
        result = static_cast<int>(std::string(word).size()) + *number;
        ++referred;
      },
      text, std::move(moved), std::ref(counter));
  CHECK(result == 0);
  CHECK(thread.joinable());
  thread.join();
  CHECK(result == 7);
  CHECK(counter == 1);
  CHECK_FALSE(thread.joinable());
  Adder adder;
  green::thread member(&Adder::add, &adder, 5);
  member.join();
  CHECK(adder.sum == 5);
}

TEST_CASE("it is moved and swapped as std::thread is") {
  green::Event<> go;
  green::thread none;
  CHECK_FALSE(none.joinable());
  CHECK(none.get_id() == green::thread::id());
  green::thread a([&] { go.wait(); });
  const green::thread::id id = a.get_id();
  green::thread b(std::move(a));
  CHECK_FALSE(a.joinable());
  CHECK(b.get_id() == id);
  swap(a, b);
  CHECK(a.get_id() == id);
  none = std::move(a);
  CHECK(none.get_id() == id);
  go.send();
  none.join();
}

TEST_CASE("a detached one runs to its end") {
  green::Event<> done;
  {
    green::thread thread([&] {
      green::sleep(0.001);
      done.send();
    });
    thread.detach();
    CHECK_FALSE(thread.joinable());
  }
  done.wait();
}

TEST_CASE("an id names a thread, is ordered, hashed and printed") {
  green::thread::id inner;
  green::thread thread([&] { inner = green::this_thread::get_id(); });
  const green::thread::id id = thread.get_id();
  thread.join();
  CHECK(inner == id);
  CHECK(id != green::this_thread::get_id());
  CHECK((id < green::this_thread::get_id() || green::this_thread::get_id() < id));
  const std::unordered_set<green::thread::id> ids{id, inner, green::this_thread::get_id()};
  CHECK(ids.size() == 2);
  std::ostringstream out;
  out << id;
  CHECK_FALSE(out.str().empty());
  green::thread::id elsewhere;
  std::thread([&] { elsewhere = green::this_thread::get_id(); }).join();
  CHECK(elsewhere != green::this_thread::get_id());
  CHECK(green::thread::hardware_concurrency() == std::thread::hardware_concurrency());
}

TEST_CASE("an interrupted join has not joined") {
  green::Event<> go;
  green::thread thread([&] { go.wait(); });
  CHECK_FALSE(green::move_on_after(0.001, [&] { thread.join(); }));
  CHECK(thread.joinable());
  auto killed = green::spawn([&] { thread.join(); });
  green::sleep(0);
  killed.kill();
  CHECK(thread.joinable());
  go.send();
  thread.join();
}

TEST_CASE("a coroutine joins, and a thread can be killed") {
  green::thread thread([] { green::sleep(test::watchdog * 10); });
  green::sleep(0);
  thread.native_handle().kill();
  CHECK(thread.joinable());
  green::awaitlet(aio::create_task(aio::as_task(thread.join_async())));
  CHECK_FALSE(thread.joinable());
  green::thread unstarted([] { FAIL("it was killed before its start"); });
  unstarted.native_handle().kill();
  unstarted.join();
}

TEST_CASE("a Timeout that leaves its function ends it alone, and is reported") {
  test::StandardError error;
  green::thread thread([] {
    const green::Timeout timeout(0.001);
    green::sleep(test::watchdog);
  });
  thread.join();
  CHECK(error.text().find("TimeoutExpired: 0.001 seconds") != std::string::npos);
}

TEST_CASE("sleep_for and sleep_until are never early") {
  const auto start = std::chrono::steady_clock::now();
  green::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(2));
  green::this_thread::sleep_until(start + std::chrono::milliseconds(5));
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(5));
  green::this_thread::sleep_until(std::chrono::system_clock::now() - std::chrono::hours(1));
  green::awaitlet(green::this_thread::sleep_for_async(0.001));
  green::awaitlet(green::this_thread::yield_async());
}

TEST_CASE("misuse is a system_error with the standard's code") {
  const auto invalid = std::errc::invalid_argument;
  green::thread none;
  CHECK(error_of([&] { none.join(); }) == invalid);
  CHECK(error_of([&] { none.detach(); }) == invalid);
  green::thread thread;
  thread = green::thread(
      [&] { CHECK(error_of([&] { thread.join(); }) == std::errc::resource_deadlock_would_occur); });
  thread.join();
  CHECK(error_of([&] { thread.join(); }) == invalid);
}

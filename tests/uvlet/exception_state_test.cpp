#include "../support.hpp"

#include <aio/aio.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <stdexcept>

namespace {

struct SleepsInDestructor {
  explicit SleepsInDestructor(int& seen) : seen_during_unwinding(&seen) {}
  ~SleepsInDestructor() {
    green::sleep(0);
    *seen_during_unwinding = std::uncaught_exceptions();
  }
  int* seen_during_unwinding;
};

int rounds_right(int number, int rounds) {
  int right = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string mine = std::to_string(number) + "." + std::to_string(i);
    try {
      throw std::runtime_error(mine);
    } catch (const std::runtime_error&) {
      green::sleep(0);
      try {
        throw std::logic_error("inner " + mine);
      } catch (const std::logic_error& inner) {
        green::sleep(0);
        right += inner.what() == "inner " + mine;
      }
      try {
        throw;
      } catch (const std::runtime_error& outer) {
        right += outer.what() == mine;
      }
    }
  }
  return right;
}

}  // namespace

TEST_CASE("who yields in catch blocks keeps its own exceptions while others throw and catch") {
  constexpr int threads = 64, rounds = 50;
  std::vector<green::GreenThread<int>> running;
  for (int i = 0; i < threads; ++i) running.push_back(green::spawn(rounds_right, i, rounds));
  int right = 0;
  for (auto& thread : running) right += thread.wait();
  CHECK(right == threads * rounds * 2);
}

TEST_CASE("an exception being unwound is seen by its own green thread alone") {
  int in_destructor = 0, in_other = -1;
  auto unwinding = green::spawn([&] {
    try {
      const SleepsInDestructor guard(in_destructor);
      throw std::runtime_error("unwinds");
    } catch (const std::runtime_error&) {
    }
  });
  auto other = green::spawn([&] { in_other = std::uncaught_exceptions(); });
  unwinding.wait();
  other.wait();
  CHECK(in_destructor == 1);
  CHECK(in_other == 0);
}

TEST_CASE("a current exception does not leak into a new green thread") {
  try {
    throw std::runtime_error("mine");
  } catch (...) {
    CHECK(green::spawn([] { return std::current_exception() == nullptr; }).wait());
    CHECK(std::current_exception() != nullptr);
  }
  CHECK(std::current_exception() == nullptr);
}

TEST_CASE("errno belongs to the green thread") {
  auto set = [](int value) {
    errno = value;
    for (int i = 0; i < 10; ++i) green::sleep(0);
    return errno;
  };
  auto first = green::spawn(set, 11);
  auto second = green::spawn(set, 22);
  CHECK(first.wait() == 11);
  CHECK(second.wait() == 22);
}

// --- every depth, and what is thrown by whom

namespace {

struct Numbered {
  int number;
};

// Throws, yields in the handler and throws anew in there, `depth` levels deep. Each level checks on
// the way back that the exception it handles is still its own.
int nested_right(int number, int depth) {
  try {
    throw Numbered{number * 10 + depth};
  } catch (const Numbered& mine) {
    green::sleep(0);
    const int deeper = depth > 1 ? nested_right(number, depth - 1) : 0;
    green::sleep(0);
    int again = 0;
    try {
      std::rethrow_exception(std::current_exception());
    } catch (const Numbered& current) {
      again = current.number;
    }
    return deeper + (mine.number == number * 10 + depth && again == mine.number);
  }
}

bool no_exception_is_active() {
  return std::current_exception() == nullptr && std::uncaught_exceptions() == 0;
}

}  // namespace

TEST_CASE("switches at every depth of nested handlers keep each level's exception") {
  constexpr int threads = 32, rounds = 20, depth = 4;
  std::vector<green::GreenThread<int>> running;
  for (int i = 1; i <= threads; ++i)
    running.push_back(green::spawn([i] {
      int right = 0;
      for (int round = 0; round < rounds; ++round) right += nested_right(i, depth);
      return right;
    }));
  int right = 0;
  for (auto& thread : running) right += thread.wait();
  CHECK(right == threads * rounds * depth);
}

TEST_CASE("`throw;` after a yield rethrows one's own exception, not the last one thrown") {
  const test::Quiet quiet;
  auto thrower = [](std::string text) {
    try {
      throw std::runtime_error(text);
    } catch (...) {
      green::sleep(0);
      throw;
    }
  };
  auto a = green::spawn(thrower, "a");
  auto b = green::spawn(thrower, "b");
  auto c = green::spawn(thrower, "c");
  CHECK_THROWS_WITH_AS(c.wait(), "c", std::runtime_error);
  CHECK_THROWS_WITH_AS(a.wait(), "a", std::runtime_error);
  CHECK_THROWS_WITH_AS(b.wait(), "b", std::runtime_error);
}

TEST_CASE("handlers that end in another order than they began free their exceptions once") {
  int alive = 0;
  struct Holding {
    test::Counted counted;
  };
  auto hold = [&](double length) {
    try {
      throw Holding{test::Counted(alive)};
    } catch (const Holding&) {
      green::sleep(length);
    }
  };
  std::vector<green::GreenThread<void>> threads;
  for (const double length : {0.006, 0.002, 0.004}) threads.push_back(green::spawn(hold, length));
  green::sleep(0);
  CHECK(alive == 3);
  for (auto& thread : threads) thread.wait();
  CHECK(alive == 0);
}

TEST_CASE("one that is killed in a handler frees the exception it handled") {
  int alive = 0;
  struct Holding {
    test::Counted counted;
  };
  auto thread = green::spawn([&] {
    try {
      throw Holding{test::Counted(alive)};
    } catch (const Holding&) {
      green::sleep(test::watchdog);
    }
  });
  green::sleep(0);
  CHECK(alive == 1);
  thread.kill();
  CHECK(alive == 0);
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
}

TEST_CASE("while one unwinds and waits, all others count no uncaught exception") {
  int worst = 0;
  bool stop = false;
  auto watcher = green::spawn([&] {
    while (!stop) {
      worst = std::max(worst, std::uncaught_exceptions());
      green::sleep(0);
    }
  });
  auto unwind = [] {
    int seen = 0, right = 0;
    for (int i = 0; i < 200; ++i) {
      try {
        const SleepsInDestructor guard(seen);
        throw std::runtime_error("unwinds");
      } catch (const std::runtime_error&) {
        right += seen == 1 && std::uncaught_exceptions() == 0;
      }
    }
    return right;
  };
  auto a = green::spawn(unwind);
  auto b = green::spawn(unwind);
  CHECK(a.wait() == 200);
  CHECK(b.wait() == 200);
  stop = true;
  watcher.wait();
  CHECK(worst == 0);
}

TEST_CASE("destructors that unwind inside a destructor that unwinds count two, each on its own") {
  struct Outer {
    ~Outer() {
      try {
        const SleepsInDestructor inner(*seen);
        throw std::logic_error("inner");
      } catch (const std::logic_error&) {
      }
      green::sleep(0);
      *after = std::uncaught_exceptions();
    }
    int* seen;
    int* after;
  };
  auto body = [] {
    int seen = 0, after = 0;
    try {
      const Outer outer{&seen, &after};
      throw std::runtime_error("outer");
    } catch (const std::runtime_error&) {
    }
    return seen * 10 + after;
  };
  auto a = green::spawn(body);
  auto b = green::spawn(body);
  CHECK(a.wait() == 21);
  CHECK(b.wait() == 21);
}

TEST_CASE("spawned from a handler or while unwinding, a green thread or task starts with nothing") {
  struct Spawning {
    ~Spawning() { *clean = green::spawn(no_exception_is_active).wait(); }
    bool* clean;
  };
  auto task = []() -> aio::task<bool> { co_return no_exception_is_active(); };
  bool clean = false;
  try {
    const Spawning spawning{&clean};
    throw std::runtime_error("active");
  } catch (const std::runtime_error&) {
    CHECK(green::awaitlet(aio::create_task(task())));
    CHECK(no_exception_is_active() == false);
  }
  CHECK(clean);
}

TEST_CASE("tasks that handle exceptions across co_await in code that blocks keep their own") {
  auto body = [](int number) -> aio::task<int> {
    int right = 0;
    for (int i = 0; i < 20; ++i) {
      try {
        co_await aio::sleep(0);
        throw Numbered{number};
      } catch (const Numbered& mine) {
        green::sleep(0);  // co_await is not allowed in a handler, a green call is
        try {
          throw;
        } catch (const Numbered& current) {
          right += mine.number == number && current.number == number;
        }
      }
      right += no_exception_is_active();
    }
    co_return right;
  };
  std::vector<aio::Future<int>> tasks;
  for (int i = 0; i < 16; ++i) tasks.push_back(aio::create_task(body(i)));
  int right = 0;
  for (auto& task : tasks) right += green::awaitlet(task);
  CHECK(right == 16 * 20 * 2);
}

TEST_CASE("awaitlet inside a handler leaves the handled exception alone") {
  auto throwing = []() -> aio::task<void> {
    co_await aio::sleep(0.001);
    throw std::logic_error("of the coroutine");
  };
  try {
    throw std::runtime_error("handled");
  } catch (const std::runtime_error& handled) {
    CHECK_THROWS_WITH_AS(green::awaitlet(throwing()), "of the coroutine", std::logic_error);
    CHECK(std::string(handled.what()) == "handled");
    CHECK_THROWS_WITH_AS(std::rethrow_exception(std::current_exception()), "handled",
                         std::runtime_error);
  }
}

TEST_CASE("main in a handler yields to others that throw") {
  const test::Quiet quiet;
  try {
    throw std::runtime_error("of main");
  } catch (...) {
    for (int i = 0; i < 10; ++i)
      CHECK_THROWS_AS(green::spawn([] { throw std::logic_error("other"); }).wait(),
                      std::logic_error);
    CHECK_THROWS_WITH_AS(std::rethrow_exception(std::current_exception()), "of main",
                         std::runtime_error);
  }
  CHECK(no_exception_is_active());
}

TEST_CASE("errno of a task that is suspended is its own") {
  auto body = [](int value) -> aio::task<bool> {
    bool kept = true;
    for (int i = 0; i < 20; ++i) {
      errno = value;
      if (i % 2)
        co_await aio::sleep(0);
      else
        green::sleep(0);
      kept = kept && errno == value;
    }
    co_return kept;
  };
  auto first = aio::create_task(body(11));
  auto second = aio::create_task(body(22));
  errno = 33;
  const bool both = green::awaitlet(first) && green::awaitlet(second);
  CHECK(errno == 33);
  CHECK(both);
}

TEST_CASE("errno survives a wait that the loop ends, with failing calls meanwhile") {
  errno = 44;
  auto failing = green::spawn([] { CHECK(open("/nonexistent", 0) == -1); });
  green::sleep(0.002);
  CHECK(errno == 44);
  failing.wait();
}

TEST_CASE("one exception object that many handle at once is destroyed once, after the last") {
  const test::Quiet quiet;
  static int alive;
  alive = 0;
  struct Failure {
    Failure() { ++alive; }
    Failure(const Failure&) { ++alive; }
    ~Failure() { --alive; }
  };
  {
    auto source = green::spawn([] {
      green::sleep(0.001);
      throw Failure();
    });
    int caught = 0;
    std::vector<green::GreenThread<void>> waiters;
    for (int i = 0; i < 10; ++i)
      waiters.push_back(green::spawn([&, source, i] {
        try {
          source.wait();
        } catch (const Failure&) {
          for (int n = 0; n < i; ++n) green::sleep(0);
          ++caught;
          try {
            throw;
          } catch (const Failure&) {
            green::sleep(0);
          }
        }
      }));
    for (auto& waiter : waiters) waiter.wait();
    CHECK(caught == 10);
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("a kill caught and held in a catch block while others are killed") {
  int right = 0;
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 16; ++i)
    threads.push_back(green::spawn([&, i] {
      try {
        green::sleep(test::watchdog);
      } catch (const int number) {
        green::sleep(0.001);
        const auto held = std::current_exception();
        green::sleep(0);
        try {
          std::rethrow_exception(held);
        } catch (const int again) {
          right += number == i && again == i;
        }
      }
    }));
  green::sleep(0);
  for (int i = 0; i < 16; ++i) threads[i].kill(i);
  for (auto& thread : threads) thread.wait();
  CHECK(right == 16);
}

TEST_CASE("a task that is started in a catch block sees no exception; one driven there sees it") {
  auto sees = []() -> aio::task<bool> {
    co_await aio::sleep(0);
    co_return std::current_exception() != nullptr;
  };
  try {
    throw std::runtime_error("mine");
  } catch (const std::runtime_error&) {
    auto future = aio::create_task(sees());
    CHECK(green::awaitlet(sees()));
    CHECK_FALSE(green::awaitlet(future));
    CHECK(std::current_exception() != nullptr);
  }
}

TEST_CASE("a green thread's stack that is used again begins with a clean state") {
  for (int i = 0; i < 100; ++i) {
    auto thread = green::spawn([] {
      try {
        throw 1;
      } catch (int) {
        green::sleep(test::watchdog);
      }
    });
    green::sleep(0);
    thread.kill();  // ends inside a catch block
    CHECK(green::spawn([] {
            return std::uncaught_exceptions() == 0 && std::current_exception() == nullptr;
          }).wait());
  }
}

TEST_CASE("errno is kept over timers, kills of others and tasks") {
  auto keeps = [](int value) {
    errno = value;
    bool kept = true;
    for (int i = 0; i < 5; ++i) {
      green::sleep(0.001);
      kept = kept && errno == value;
      green::sleep(0);
      kept = kept && errno == value;
    }
    return kept;
  };
  auto in_task = [&keeps](int value) -> aio::task<bool> { co_return keeps(value); };
  std::vector<green::GreenThread<bool>> threads;
  std::vector<aio::Future<bool>> tasks;
  for (int i = 1; i <= 16; ++i) {
    threads.push_back(green::spawn(keeps, i));
    tasks.push_back(aio::create_task(in_task(100 + i)));
  }
  for (auto& thread : threads) CHECK(thread.wait());
  for (auto& task : tasks) CHECK(green::awaitlet(task));
}

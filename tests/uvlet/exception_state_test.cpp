#include "../support.hpp"

#include <cerrno>
#include <exception>
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

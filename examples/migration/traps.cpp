// What g++ 12 gets wrong about coroutines, and what C++ does, written so that it works everywhere.

#include "lines.hpp"

#include <cstdio>
#include <map>
#include <memory>
#include <vector>

namespace {

// Counts how many live.
struct Resource {
  explicit Resource(int& count) : alive(count) { ++alive; }
  Resource(const Resource& other) : alive(other.alive) { ++alive; }
  ~Resource() { --alive; }
  int& alive;
};

aio::task<int> answer_async(std::function<int()> question) {
  co_await aio::sleep(0);
  co_return question();
}

// [closure]
aio::task<int> named_closure(const Resource& resource) {
  auto question = [resource] { return resource.alive; };  // not within the co_await's expression
  co_return co_await answer_async(std::move(question));
}
// [/closure]

aio::task<int> sum_async(std::vector<int> numbers) {
  co_await aio::sleep(0);
  int sum = 0;
  for (int number : numbers) sum += number;
  co_return sum;
}

// [braces]
aio::task<int> named_list() {
  const std::vector<int> numbers{1, 2, 3};  // co_await sum_async({1, 2, 3}) does not compile
  co_return co_await sum_async(numbers);
}
// [/braces]

aio::task<bool> agrees() {
  co_await aio::sleep(0);
  co_return true;
}

// [condition]
aio::task<bool> named_condition(bool ready) {
  const bool both = ready && co_await agrees();  // if (ready && co_await agrees()) is miscompiled
  if (both) co_return true;
  co_return false;
}
// [/condition]

// [arguments]
// A lambda that is a coroutine and captures nothing: its frame owns its arguments.
aio::Future<int> start_with_arguments(std::string text) {
  auto length = [](std::string of) -> aio::task<int> {
    co_await aio::sleep(0);
    co_return static_cast<int>(of.size());
  };
  return aio::create_task(length(std::move(text)));
}
// [/arguments]

// [kept]
// One that captures is a trap unless it outlives its coroutine, as here, where this function waits.
int wait_with_captures(const std::string& text) {
  auto length = [&text]() -> aio::task<int> {
    co_await aio::sleep(0);
    co_return static_cast<int>(text.size());
  };
  return green::awaitlet(length());
}
// [/kept]

}  // namespace

int main() {
  using lines::require;
  int alive = 0;
  {
    const Resource resource(alive);
    require(aio::run(named_closure(resource)) >= 2, "the closure's copy lives");
    require(alive == 1, "each copy was destroyed once");
  }
  require(alive == 0, "nothing is left");
  require(aio::run(named_list()) == 6, "a named list");
  require(aio::run(named_condition(true)) && !aio::run(named_condition(false)),
          "a named condition");
  require(green::awaitlet(start_with_arguments("four")) == 4, "arguments live in the frame");
  require(wait_with_captures("three") == 5, "a closure that is kept");
  std::printf("no trap was stepped into\n");
}

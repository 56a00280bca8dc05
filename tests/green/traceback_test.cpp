#include <green/debug.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace {

struct Traces {
  Traces() { green::debug::exception_traces(true); }
  ~Traces() { green::debug::exception_traces(false); }
};

[[gnu::noinline]] void parse(int value) {
  if (value < 0) throw std::runtime_error("a negative value");
  __asm__ volatile("");
}
aio::task<int> innermost(int value) {
  co_await aio::sleep(0);
  parse(value);
  co_return value;
}
aio::task<int> middle(int value) {
  const int result = co_await innermost(value);
  co_return result + 1;
}
[[gnu::noinline]] int plain_edge(int value) {
  const int result = green::awaitlet(middle(value));
  __asm__ volatile("");
  return result;
}
[[gnu::noinline]] int plain_caller(int value) {
  const int result = plain_edge(value);
  __asm__ volatile("");
  return result;
}
aio::task<int> upper(int value) { co_return co_await aio::async_def(plain_caller, value); }
[[gnu::noinline]] int top(int value) {
  const int result = green::awaitlet(upper(value));
  __asm__ volatile("");
  return result;
}

}  // namespace

TEST_CASE("print") {
  const Traces on;
  try {
    top(-1);
  } catch (const std::exception&) {
    std::puts(green::debug::traceback().c_str());
  }
  try {
    green::spawn(top, -1).wait();
  } catch (const std::exception&) {
    std::puts(green::debug::traceback().c_str());
  }
}

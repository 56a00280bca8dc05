#include "../standard_error.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>

#include <stdexcept>

namespace {

using test::StandardError;

aio::task<int> fails() {
  co_await aio::sleep(0);
  throw std::runtime_error("nobody looked");
}

aio::task<> exits() {
  co_await aio::sleep(0);
  throw green::GreenletExit();
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size())
    ++found;
  return found;
}

}  // namespace

TEST_CASE("the exception of a task whose Future is dropped unread is reported once") {
  StandardError error;
  {
    auto future = aio::create_task(fails(), "worker-7");
    auto other_handle = future;
    green::sleep(0.001);
    CHECK(error.text() == "");
  }
  CHECK(error.text().starts_with(
      "Task exception was never retrieved: 'worker-7' ended with std::runtime_error: "
      "nobody looked\n"));
}

TEST_CASE("so is that of a task that nobody holds any more when it fails") {
  StandardError error;
  aio::create_task(fails());
  green::sleep(0.001);
  CHECK(count(error.text(), "Task exception was never retrieved: 'Task-") == 1);
}

TEST_CASE("and that of a Future that was completed by hand") {
  StandardError error;
  {
    auto future = aio::Future<>::create();
    future.set_exception(std::make_exception_ptr(std::runtime_error("by hand")));
  }
  CHECK(count(error.text(), "Future exception was never retrieved") == 1);
  CHECK(count(error.text(), "by hand") == 1);
}

TEST_CASE("who awaits it, or asks for its result or its exception, has retrieved it") {
  StandardError error;
  CHECK_THROWS_AS(aio::run(aio::create_task(fails())), std::runtime_error);
  CHECK_THROWS_AS(green::awaitlet(aio::create_task(fails())), std::runtime_error);
  {
    auto future = aio::create_task(fails());
    green::sleep(0.001);
    CHECK_THROWS_AS(future.result(), std::runtime_error);
  }
  {
    auto future = aio::create_task(fails());
    green::sleep(0.001);
    CHECK(future.exception() != nullptr);
  }
  CHECK_THROWS_AS(aio::run(aio::gather(fails(), fails(), fails())), std::runtime_error);
  CHECK_THROWS_AS(aio::run(aio::shield(fails())), std::runtime_error);
  green::sleep(0.001);
  CHECK(error.text() == "");
}

TEST_CASE("done() and wait() retrieve nothing") {
  StandardError error;
  {
    auto future = aio::create_task(fails());
    std::vector<aio::Future<int>> both{future};
    const auto [done, pending] = aio::run(aio::wait(both));
    CHECK(done.size() == 1);
    CHECK(future.done());
  }
  CHECK(count(error.text(), "nobody looked") == 1);
}

TEST_CASE("CancelledError and GreenletExit are no failures") {
  StandardError error;
  {
    auto cancelled = aio::create_task(fails());
    cancelled.cancel();
    auto killed = aio::create_task(exits());
    green::sleep(0.001);
    CHECK(cancelled.done());
    CHECK(killed.done());
  }
  CHECK(error.text() == "");
}

TEST_CASE("hub_exceptions(false) silences it") {
  StandardError error;
  {
    test::Quiet quiet;
    aio::create_task(fails());
    green::sleep(0.001);
  }
  CHECK(error.text() == "");
}

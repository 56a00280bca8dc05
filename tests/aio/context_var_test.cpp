#include <aio/context_var.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>
#include <green/greenpool.hpp>

#include <stdexcept>

namespace {

aio::ContextVar<std::string> user("user");
aio::ContextVar<int> level("level", 1);

aio::task<std::string> read() {
  co_await aio::sleep(0);
  co_return user.get("nobody");
}
aio::task<> write(std::string value) {
  user.set(value);
  co_await aio::sleep(0);
}

// Runs `body` in a green thread, whose context goes with it.
template <class F>
void alone(F body) {
  green::spawn(std::move(body)).wait();
}

}  // namespace

TEST_CASE("a variable that was never set is out_of_range, or the fallback, or its initial value") {
  CHECK_THROWS_AS(user.get(), std::out_of_range);
  CHECK(user.get("fallback") == "fallback");
  CHECK(level.get() == 1);
  CHECK(level.get(2) == 2);
  CHECK(level.name() == "level");
}

TEST_CASE("reset undoes a set, to the value before or to none") {
  alone([] {
    const auto first = user.set("a");
    const auto second = user.set("b");
    CHECK(user.get() == "b");
    CHECK(!first.old_value());
    CHECK(second.old_value() == "a");
    user.reset(second);
    CHECK(user.get("none") == "a");
    user.reset(first);
    CHECK_THROWS_AS(user.get(), std::out_of_range);
    const auto token = level.set(5);
    CHECK(level.get(7) == 5);
    level.reset(token);
    CHECK(level.get() == 1);
  });
}

TEST_CASE("a token of another variable or context is invalid_argument, a used one logic_error") {
  alone([] {
    aio::ContextVar<std::string> other("other");
    const auto token = user.set("a");
    CHECK_THROWS_AS(other.reset(aio::ContextVar<std::string>::Token(token)), std::invalid_argument);
    alone([&] { CHECK_THROWS_AS(user.reset(token), std::invalid_argument); });
    user.reset(token);
    CHECK_THROWS_AS(user.reset(token), std::logic_error);
  });
}

TEST_CASE("a green thread and a task start with a copy: what they set stays theirs") {
  alone([] {
    user.set("parent");
    auto thread = green::spawn([] {
      const std::string before = user.get();
      user.set("thread");
      green::sleep(0);
      return before + " " + user.get();
    });
    auto task = aio::create_task(read());
    auto writer = aio::create_task(write("task"));
    user.set("later");
    CHECK(thread.wait() == "parent thread");
    CHECK(green::awaitlet(task) == "parent");
    green::awaitlet(writer);
    CHECK(user.get() == "later");
    CHECK(aio::run(read()) == "later");
  });
}

TEST_CASE("spawn_n, spawn_after, pools, gather and TaskGroup copy it too") {
  alone([] {
    user.set("parent");
    test::Log log;
    auto note = [&log] {
      log(user.get());
      user.set("child");
    };
    green::spawn_n(note);
    green::spawn_after(0.001, note).wait();
    green::GreenPool pool(2);
    pool.spawn(note).wait();
    pool.spawn_n(note);
    pool.waitall();
    CHECK(log.text() == "parent parent parent parent");
    const auto [first, second] = aio::run(aio::gather(read(), write("branch")));
    CHECK(first == "parent");
    aio::TaskGroup group;
    group.create_task(write("member"));
    green::awaitlet(group.join());
    CHECK(user.get() == "parent");
  });
}

TEST_CASE("awaitlet shares it, and so does what a coroutine awaits") {
  alone([] {
    green::awaitlet(write("from the coroutine"));
    CHECK(user.get() == "from the coroutine");
    auto outer = []() -> aio::task<std::string> {
      co_await write("inner");
      co_await aio::wait_for(write(user.get() + "!"), 1);
      co_return user.get();
    };
    CHECK(green::awaitlet(outer()) == "inner!");
    CHECK(user.get() == "inner!");
  });
}

TEST_CASE("async_def shares it, also where nothing was set before") {
  alone([] {
    auto body = []() -> aio::task<std::string> {
      co_await aio::async_def([] {
        green::sleep(0);
        user.set("from the function");
      });
      co_return user.get();
    };
    CHECK(green::awaitlet(body()) == "from the function");
    CHECK(user.get() == "from the function");
  });
}

TEST_CASE("a callback and a link have the context of who added them") {
  alone([] {
    test::Log log;
    auto future = aio::Future<>::create();
    green::Event<> go;
    auto thread = green::spawn([&] {
      user.set("thread");
      go.wait();
    });
    alone([&] {
      user.set("adder");
      future.add_done_callback([&log](aio::Future<>) { log("callback:" + user.get("none")); });
      thread.link([&log](green::GreenThread<void>) { log("link:" + user.get("none")); });
    });
    user.set("completer");
    future.set_result();
    green::sleep(0);
    go.send();
    thread.wait();
    CHECK(log.text() == "callback:adder link:adder");
  });
}

TEST_CASE("values live as long as a context that has them") {
  int alive = 0;
  aio::ContextVar<test::Counted> counted("counted");
  auto outer = green::spawn([&] {
    counted.set(test::Counted(alive));
    return green::spawn([] { green::sleep(0.001); });
  });
  auto inner = outer.wait();
  green::sleep(0);
  CHECK(alive == 1);
  inner.wait();
  green::sleep(0);
  CHECK(alive == 0);
}

TEST_CASE("a variable of another OS thread's hub is not set here") {
  alone([] {
    user.set("here");
    std::string there;
    uvlet::run_on_threads(1, [&](int) { there = user.get("none"); });
    CHECK(there == "none");
  });
}

#include "../support.hpp"

#include <green/db_pool.hpp>
#include <green/event.hpp>
#include <green/greenpool.hpp>
#include <green/tpool.hpp>
#include <uvlet/testing.hpp>

#include <aio/future.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using uvlet::testing::simulate;

// A server in memory: what each connection wrote and did not roll back is seen by all.
struct Server {
  int opened = 0, open = 0, rollbacks = 0;
  std::vector<int> rows;
};

struct Connection {
  explicit Connection(Server& to) : server(&to), number(++to.opened) { ++to.open; }
  void insert(int row) { pending.push_back(row); }
  void commit() {
    for (int row : pending) server->rows.push_back(row);
    pending.clear();
  }
  void rollback() {
    ++server->rollbacks;
    pending.clear();
  }
  void close() { --server->open; }

  Server* server;
  int number;
  std::vector<int> pending;
};

using Owned = std::unique_ptr<Connection>;
using ConnectionPool = green::ConnectionPool<Owned>;
using Options = ConnectionPool::Options;

Options of_size(int max_size, int min_size = 0) {
  Options options;
  options.max_size = max_size;
  options.min_size = min_size;
  return options;
}

struct Database {
  Server server;
  std::function<Owned()> connect = [this] { return std::make_unique<Connection>(server); };
};

}  // namespace

// test_connecting, test_create_cursor, test_run_query
TEST_CASE("a connection is made when it is needed, and used again") {
  Database database;
  ConnectionPool pool(database.connect);
  CHECK(pool.free() == 4);
  CHECK(database.server.opened == 0);
  {
    auto connection = pool.get();
    CHECK(connection);
    CHECK((*connection)->number == 1);
    CHECK(connection->get()->number == 1);
    CHECK(pool.free() == 3);
  }
  CHECK(pool.free() == 4);
  CHECK((*pool.get())->number == 1);
  CHECK(pool.size() == 1);
}

// test_put_none
TEST_CASE("a connection that is dead when it comes back leaves its place free") {
  Database database;
  ConnectionPool pool(database.connect, of_size(1));
  auto connection = pool.get();
  CHECK(pool.free() == 0);
  connection->reset();
  connection.release();
  CHECK(pool.free() == 1);
  CHECK(pool.size() == 0);
  auto second = pool.get();
  CHECK((*second)->number == 2);
  second.discard();
  CHECK(!second);
  CHECK(pool.free() == 1);
  CHECK(pool.size() == 0);
  CHECK(database.server.open == 1);  // the first one was never closed, but lost
}

// test_close_does_a_put, test_bool
TEST_CASE("releasing gives it back, and leaves the handle false") {
  Database database;
  ConnectionPool pool(database.connect, of_size(1));
  auto connection = pool.get();
  CHECK(pool.free() == 0);
  connection.release();
  CHECK(pool.free() == 1);
  CHECK(!connection);
  CHECK_THROWS_AS(*connection, std::logic_error);
  CHECK_THROWS_AS(connection->get(), std::logic_error);
  connection.release();
  CHECK(pool.free() == 1);
  auto again = pool.get();
  pool.put(std::move(again));
  CHECK(pool.free() == 1);
}

// test_connection_is_clean_after_put
TEST_CASE("what was not committed is rolled back when the connection comes back") {
  Database database;
  ConnectionPool pool(database.connect, of_size(1));
  {
    auto connection = pool.get();
    for (int i = 0; i < 10; ++i) (*connection)->insert(i);
  }
  {
    auto connection = pool.get();
    for (int i = 0; i < 10; ++i) (*connection)->insert(i);
    (*connection)->commit();
  }
  CHECK(database.server.rows.size() == 10);
  CHECK(database.server.rollbacks == 2);
}

// test_visibility_from_other_connections
TEST_CASE("the connection that came back last is the next one") {
  Database database;
  ConnectionPool pool(database.connect, of_size(3));
  auto a = pool.get(), b = pool.get(), c = pool.get();
  a.release();
  c.release();
  b.release();
  CHECK((*pool.get())->number == 2);
  auto first = pool.get(), second = pool.get();
  CHECK((*first)->number == 2);
  CHECK((*second)->number == 3);
}

// test_clear, test_clear_warmup, test_raw_pool_clear_update_current_size
TEST_CASE("clear closes the connections that are free, and their places are") {
  Database database;
  ConnectionPool pool(database.connect, of_size(4, 2));
  CHECK(database.server.opened == 2);
  CHECK(pool.size() == 2);
  auto out = pool.get();
  pool.clear();
  CHECK(pool.size() == 1);
  CHECK(database.server.open == 1);
  CHECK(pool.free() == 3);
  out.release();
  CHECK(pool.free() == 4);
  pool.clear();
  CHECK(pool.size() == 0);
  CHECK(database.server.open == 0);
  CHECK((*pool.get())->number == 3);
}

// test_zero_max_idle, test_zero_max_age
TEST_CASE("with no time to be idle, or to live, a connection is closed when it comes back") {
  for (const bool idle : {true, false}) {
    Database database;
    Options options = of_size(2);
    (idle ? options.max_idle : options.max_age) = 0;
    ConnectionPool pool(database.connect, options);
    pool.get().release();
    CHECK(pool.size() == 0);
    CHECK(pool.free() == 2);
    CHECK(database.server.open == 0);
    CHECK(database.server.rollbacks == 0);
  }
}

// test_waiters_get_woken
TEST_CASE("who waits is woken also if the connection was closed") {
  Database database;
  Options options = of_size(1);
  options.max_age = 0;
  ConnectionPool pool(database.connect, options);
  auto connection = pool.get();
  auto waiting = green::spawn([&] {
    const auto mine = pool.get();
    return (*mine)->number;
  });
  green::sleep(0);
  CHECK(pool.free() == 0);
  CHECK(pool.waiting() == 1);
  connection.release();
  CHECK(waiting.wait() == 2);
  CHECK(pool.waiting() == 0);
  CHECK(pool.free() == 1);
}

// test_raising_create
TEST_CASE("a connect that throws loses no place") {
  green::ConnectionPool<Owned> pool([]() -> Owned { throw std::runtime_error("no"); }, of_size(1));
  CHECK_THROWS_AS(pool.get(), std::runtime_error);
  CHECK_THROWS_AS(pool.get(), std::runtime_error);
  CHECK(pool.free() == 1);
}

TEST_CASE("a connect that takes too long is a ConnectTimeout") {
  simulate({}, [] {
    Database database;
    Options options = of_size(1);
    options.connect_timeout = 0.5;
    bool slow = true;
    ConnectionPool pool(
        [&] {
          if (slow) green::sleep(1);
          return database.connect();
        },
        options);
    CHECK_THROWS_AS(pool.get(), green::ConnectTimeout);
    CHECK(pool.free() == 1);
    slow = false;
    auto held = pool.get();
    // Waiting for a connection is not making one.
    auto waiting = green::spawn([&] { return (*pool.get())->number; });
    green::sleep(2);
    held.release();
    CHECK(waiting.wait() == 1);
  });
}

// test_raw_pool_custom_cleanup_ok
TEST_CASE("cleanup is the pool's own, or that of the call, or none") {
  Database database;
  int cleaned = 0, other = 0;
  Options options;
  options.cleanup = [&](Owned&) { ++cleaned; };
  ConnectionPool pool(database.connect, options);
  pool.put(pool.get());
  CHECK(cleaned == 1);
  { const auto connection = pool.item(); }
  CHECK(cleaned == 2);
  pool.put(pool.get(), [&](Owned&) { ++other; });
  pool.get().release(nullptr);
  CHECK(cleaned == 2);
  CHECK(other == 1);
  CHECK(database.server.rollbacks == 0);
  CHECK(pool.size() == 1);
}

// test_raw_pool_custom_cleanup_arg_error
TEST_CASE("a connection whose cleanup throws is closed") {
  Database database;
  ConnectionPool pool(database.connect);
  pool.put(pool.get(), [](Owned&) { throw std::runtime_error("broken"); });
  CHECK(pool.size() == 0);
  CHECK(database.server.open == 0);
  CHECK(pool.free() == 4);
}

// test_raw_pool_custom_cleanup_fatal
TEST_CASE("what is no std::exception goes on, and the connection is closed") {
  Database database;
  Options options;
  options.cleanup = [](Owned&) { throw green::GreenletExit(); };
  ConnectionPool pool(database.connect, options);
  CHECK_THROWS_AS(pool.put(pool.get()), green::GreenletExit);
  CHECK(pool.size() == 0);
  CHECK(database.server.open == 0);
  { const auto connection = pool.get(); }  // a destructor has nowhere to throw it to
  CHECK(pool.size() == 0);
}

TEST_CASE("a kill waits for the cleanup of a destroyed Lease, and interrupts an explicit one") {
  Database database;
  bool cleaned = false;
  Options options;
  options.cleanup = [&](Owned&) {
    green::sleep(0.002);
    cleaned = true;
  };
  ConnectionPool pool(database.connect, options);
  auto destroying = green::spawn([&] { (void)pool.get(); });
  green::sleep(0);
  destroying.kill();
  CHECK_NOTHROW(destroying.wait());  // the kill came too late for it to wait once more
  CHECK(cleaned);
  CHECK(pool.size() == 1);
  cleaned = false;
  auto releasing = green::spawn([&] { pool.get().release(); });
  green::sleep(0);
  releasing.kill();
  CHECK_THROWS_AS(releasing.wait(), green::GreenletExit);
  CHECK(!cleaned);
  CHECK(pool.size() == 0);
  CHECK(pool.free() == 4);
}

TEST_CASE("connections are closed when they were idle for too long, or are too old") {
  simulate({}, [] {
    Database database;
    Options options = of_size(3);
    options.max_idle = 10;
    options.max_age = 30;
    ConnectionPool pool(database.connect, options);
    {
      auto a = pool.get(), b = pool.get();
      green::sleep(5);
      a.release();
      green::sleep(4);
    }
    CHECK(pool.size() == 2);
    green::sleep(7);  // a was idle for 11 s
    CHECK(pool.size() == 1);
    CHECK(database.server.open == 1);
    for (int i = 0; i < 3; ++i) {  // b is in use every 4 s
      CHECK((*pool.get())->number == 2);
      green::sleep(4);
    }
    green::sleep(4);  // and is 32 s old
    CHECK(pool.size() == 0);
    auto held = pool.get();
    green::sleep(31);
    CHECK(pool.size() == 1);
    held.release();  // too old by now
    CHECK(pool.size() == 0);
    CHECK(database.server.open == 0);
  });
}

TEST_CASE("the least number of connections expire as others do") {
  simulate({}, [] {
    Database database;
    Options options = of_size(3, 2);
    options.max_idle = 1;
    ConnectionPool pool(database.connect, options);
    CHECK(database.server.open == 2);
    green::sleep(2);
    CHECK(database.server.open == 0);
    CHECK(pool.free() == 3);
  });
}

TEST_CASE("destroying a pool closes the free connections now and the others when they come back") {
  Database database;
  auto pool = std::make_unique<ConnectionPool>(database.connect, of_size(3, 2));
  auto out = pool->get();
  pool.reset();
  CHECK(database.server.open == 1);
  out.release();
  CHECK(database.server.open == 0);
  CHECK(database.server.rollbacks == 1);
}

TEST_CASE("resize closes what is too many, now or when it comes back") {
  Database database;
  ConnectionPool pool(database.connect, of_size(3, 3));
  auto out = pool.get(), other = pool.get();
  pool.resize(1);
  CHECK(database.server.open == 2);
  out.release();
  CHECK(database.server.open == 1);
  other.release();
  CHECK(database.server.open == 1);
  CHECK(pool.free() == 1);
  CHECK_THROWS_AS(pool.resize(-1), std::invalid_argument);
}

TEST_CASE("coroutines and connections by value") {
  struct Plain {
    int number;
  };
  int made = 0;
  green::ConnectionPool<Plain> pool([&] { return Plain{++made}; });
  auto work = [&]() -> aio::task<int> {
    auto lease = co_await pool.get_async();
    auto other = co_await pool.item_async();
    co_return lease->number * 10 + other->number;
  };
  CHECK(aio::run(work()) == 12);
  CHECK(pool.free() == 4);
  CHECK(pool.size() == 2);
}

// TpooledConnectionPool
TEST_CASE("connecting on the thread pool, within the time limit") {
  using Proxied = green::tpool::Proxy<Connection>;
  Server server;
  green::ConnectionPool<Proxied> pool(
      [&] { return Proxied(green::tpool::execute([&] { return Connection(server); })); });
  auto connection = pool.get();
  CHECK((*connection)([](Connection& raw) { return raw.number; }) == 1);
}

TEST_CASE("misuse is an error") {
  Database database;
  CHECK_THROWS_AS(ConnectionPool(nullptr), std::invalid_argument);
  CHECK_THROWS_AS(ConnectionPool(database.connect, of_size(1, 2)), std::invalid_argument);
  CHECK_THROWS_AS(ConnectionPool(database.connect, of_size(-1)), std::invalid_argument);
  ConnectionPool one(database.connect), two(database.connect);
  auto mine = one.get();
  CHECK_THROWS_AS(two.put(std::move(mine)), std::logic_error);
  auto gone = one.get();
  gone.release();
  CHECK_THROWS_AS(one.put(std::move(gone)), std::logic_error);
  CHECK(one.free() == 4);
}

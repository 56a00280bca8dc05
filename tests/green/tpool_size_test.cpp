#include "../support.hpp"

#include <green/tpool.hpp>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

// One program, one pool: what settles its size is done once.
TEST_CASE(
    "the size is set before the first use, and settled by it: seven calls meet on seven threads") {
  CHECK_THROWS_AS(green::tpool::set_num_threads(0), std::invalid_argument);
  CHECK_THROWS_AS(green::tpool::set_num_threads(-3), std::invalid_argument);
  green::tpool::set_num_threads(2);
  green::tpool::set_num_threads(7);  // nobody has used it yet
  CHECK(std::string(std::getenv("UV_THREADPOOL_SIZE")) == "7");

  std::atomic<int> inside{0};
  std::vector<green::GreenThread<void>> calls;
  for (int i = 0; i < 7; ++i)
    calls.push_back(green::spawn([&] {
      green::tpool::execute([&] {
        ++inside;
        while (inside < 7) std::this_thread::yield();
      });
    }));
  green::with_timeout(test::watchdog, [&] {
    for (auto& call : calls) call.wait();
  });
  CHECK_THROWS_AS(green::tpool::set_num_threads(3), std::logic_error);
  CHECK_THROWS_AS(green::tpool::set_num_threads(0), std::invalid_argument);
}

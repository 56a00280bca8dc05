#include "../support.hpp"

#include <aio/task.hpp>

namespace {
aio::task<int> forty_two() { co_return 42; }
}  // namespace

TEST_CASE("a task runs when it is awaited") { CHECK(green::awaitlet(forty_two()) == 42); }

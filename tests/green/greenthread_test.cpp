#include "../support.hpp"

TEST_CASE("wait gives the result of the function") {
  CHECK(green::spawn([] { return 42; }).wait() == 42);
}

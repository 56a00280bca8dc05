#include <uvlet/byte_buffer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using uvlet::ByteBuffer;

TEST_CASE("what was appended is taken in order, however it is cut") {
  std::mt19937 random(1);
  std::string all;
  for (unsigned i = 0; i < 200'000; ++i) all += static_cast<char>('a' + i * i % 23);
  for (const std::size_t longest : {1u, 7u, 1000u, 70'000u}) {
    ByteBuffer buffer;
    std::string got;
    for (std::size_t put = 0; got.size() < all.size();) {
      const std::string part = all.substr(put, random() % (longest + 1));
      buffer.append(part);
      put += part.size();
      CHECK(buffer.size() == put - got.size());
      CHECK((buffer.view() == std::string_view(all).substr(got.size(), buffer.size())));
      const std::size_t wanted = random() % (longest + 1);
      if (random() % 2 == 0) {
        got += buffer.take(wanted);
      } else {
        got += buffer.view().substr(0, wanted);
        buffer.drop(wanted);
      }
    }
    CHECK((got == all));
    CHECK(buffer.empty());
    CHECK(buffer.take(10) == "");
  }
}

TEST_CASE("its memory does not grow with what passes through") {
  ByteBuffer buffer;
  const std::string part(1000, 'x');
  for (int i = 0; i < 10; ++i) buffer.append(part);
  for (int i = 0; i < 100'000; ++i) {  // and never is it empty
    buffer.append(part);
    buffer.drop(part.size());
    REQUIRE(buffer.size() == 10 * part.size());
    REQUIRE(buffer.capacity() <= 50 * part.size());
  }
}

TEST_CASE("all of it is taken without a copy, and the rest of a large memory stays") {
  ByteBuffer buffer;
  buffer.append(std::string(1000, 'x'));
  const char* place = buffer.data();
  const std::string all = buffer.take(5000);
  CHECK(all.data() == place);
  CHECK(buffer.capacity() < 1000);
  buffer.append(std::string(100'000, 'x'));
  buffer.clear();
  CHECK(buffer.capacity() >= 100'000);
  buffer.append("little");
  CHECK(buffer.take(6) == "little");
  CHECK(buffer.capacity() >= 100'000);
  buffer.release();
  CHECK(buffer.capacity() < 1000);
}

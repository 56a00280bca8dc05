#include <uvlet/stack.hpp>

#include "../support.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <system_error>
#include <unistd.h>

using uvlet::Guard;
using uvlet::StackArena;

namespace {

// Whether a byte can be read: the kernel looks, and answers EFAULT where a load would be a fault.
bool readable(const char* address) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const bool taken = write(ends[1], address, 1) == 1;
  const bool fault = !taken && errno == EFAULT;
  close(ends[0]);
  close(ends[1]);
  REQUIRE(taken != fault);
  return taken;
}

// What this kernel can do: madvise guards exist since Linux 6.13.
bool has_madvise_guards() {
  try {
    const StackArena arena(64 * 1024, Guard::madvise);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

std::vector<Guard> guards() {
  if (has_madvise_guards()) return {Guard::mprotect, Guard::madvise};
  return {Guard::mprotect};
}

}  // namespace

TEST_CASE("a stack can be used from end to end, and the byte below it cannot") {
  for (const Guard guard : guards()) {
    for (const std::size_t size : {std::size_t{16 * 1024}, std::size_t{64 * 1024},
                                   std::size_t{256 * 1024}, std::size_t{1024 * 1024}}) {
      CAPTURE(size);
      StackArena arena(size, guard);
      char* top = arena.allocate();
      char* low = arena.low(top);
      CHECK(top - low == static_cast<std::ptrdiff_t>(size));
      std::memset(low, 1, size - StackArena::tail_bytes);
      CHECK(readable(low));
      CHECK_FALSE(readable(low - 1));
      CHECK_FALSE(readable(low - static_cast<std::ptrdiff_t>(StackArena::page_bytes)));
      arena.release(top);
    }
  }
}

TEST_CASE("a stack that is given back and taken again keeps its guard") {
  for (const Guard guard : guards()) {
    StackArena arena(64 * 1024, guard);
    char* top = arena.allocate();
    std::memset(arena.low(top), 1, 60 * 1024);
    arena.release(top);
    arena.trim();  // counts: it was in use since the last call
    arena.trim();
    CHECK(arena.allocate() == top);
    CHECK_FALSE(readable(arena.low(top) - 1));
    CHECK(readable(arena.low(top)));
    arena.release(top);
  }
}

TEST_CASE("the stack given back last is handed out first") {
  StackArena arena(64 * 1024, Guard::automatic);
  char* first = arena.allocate();
  char* second = arena.allocate();
  CHECK(first != second);
  arena.release(second);
  arena.release(first);
  CHECK(arena.allocate() == first);
  CHECK(arena.allocate() == second);
  arena.release(first);
  arena.release(second);
}

TEST_CASE("stacks do not overlap, and their count is kept") {
  StackArena arena(16 * 1024, Guard::automatic);
  std::vector<char*> tops;
  for (int i = 0; i < 300; ++i) {
    tops.push_back(arena.allocate());
    CHECK(arena.in_use() == tops.size());
  }
  std::vector<char*> sorted = tops;
  std::sort(sorted.begin(), sorted.end());
  int overlapping = 0;
  for (std::size_t i = 1; i < sorted.size(); ++i)
    overlapping += arena.low(sorted[i]) < sorted[i - 1];
  CHECK(overlapping == 0);
  for (char* top : tops) arena.release(top);
  CHECK(arena.in_use() == 0);
}

TEST_CASE("used() lists exactly the stacks that are handed out") {
  StackArena arena(16 * 1024, Guard::automatic);
  std::vector<char*> tops;
  for (int i = 0; i < 100; ++i) tops.push_back(arena.allocate());
  std::set<char*> wanted(tops.begin(), tops.end());
  for (int i = 0; i < 100; i += 3) {
    wanted.erase(tops[i]);
    arena.release(tops[i]);
  }
  const std::vector<char*> used = arena.used();
  CHECK(std::set<char*>(used.begin(), used.end()) == wanted);
  CHECK(used.size() == wanted.size());
}

TEST_CASE("an address in a guard names the stack above it") {
  for (const Guard guard : guards()) {
    StackArena arena(64 * 1024, guard);
    char* first = arena.allocate();
    char* second = arena.allocate();
    CHECK(arena.overflowed_at(arena.low(first) - 1) == first);
    CHECK(arena.overflowed_at(arena.low(second) - 8) == second);
    CHECK(arena.overflowed_at(arena.low(first)) == nullptr);
    CHECK(arena.overflowed_at(first - 1) == nullptr);
    int elsewhere = 0;
    CHECK(arena.overflowed_at(&elsewhere) == nullptr);
    CHECK(arena.overflowed_at(nullptr) == nullptr);
    arena.release(first);
    arena.release(second);
  }
}

TEST_CASE("trimming gives back the memory of idle stacks and leaves those in use alone") {
  StackArena arena(64 * 1024, Guard::automatic);
  char* kept = arena.allocate();
  char* idle = arena.allocate();
  arena.low(kept)[100] = 'k';
  arena.low(idle)[100] = 'i';
  arena.release(idle);
  arena.trim();
  arena.trim();
  CHECK(arena.low(kept)[100] == 'k');
  CHECK(arena.allocate() == idle);
  CHECK(arena.low(idle)[100] == 0);
  arena.release(idle);
  arena.release(kept);
}

TEST_CASE("the size is rounded up to whole pages") {
  StackArena arena(20'000, Guard::automatic);
  CHECK(arena.stack_bytes() == 20'480);
  char* top = arena.allocate();
  CHECK(reinterpret_cast<std::uintptr_t>(top) % StackArena::page_bytes == 0);
  arena.release(top);
}

TEST_CASE("the colours of neighbouring stacks spread over cache sets") {
  StackArena arena(64 * 1024, Guard::automatic);
  std::set<std::size_t> colours;
  std::vector<char*> tops;
  for (int i = 0; i < 64; ++i) {
    tops.push_back(arena.allocate());
    const std::size_t colour = arena.colour(tops.back());
    CHECK(colour % 64 == 0);
    CHECK(colour < 1024);
    colours.insert(colour);
  }
  CHECK(colours.size() >= 8);
  for (char* top : tops) arena.release(top);
}

TEST_CASE("a stack below the least size is an invalid argument") {
  CHECK_THROWS_AS(StackArena(StackArena::stack_bytes_min - 1, Guard::automatic),
                  std::invalid_argument);
  CHECK_THROWS_AS(StackArena(0, Guard::automatic), std::invalid_argument);
}

// AddressSanitizer and ThreadSanitizer write to shadow memory for each byte that is mapped: a
// mapping of this size would use up the machine's memory there.
#if !defined(UVLET_ASAN) && !defined(UVLET_TSAN)
TEST_CASE("stacks that cannot be had are system_error ENOMEM, and the arena stays usable") {
  StackArena arena(std::size_t{1} << 45, Guard::automatic);  // 32 TiB: a few fit, then none
  std::vector<char*> tops;
  std::error_code error;
  std::string text;
  for (int i = 0; i < 64 && !error; ++i) try {
      tops.push_back(arena.allocate());
    } catch (const std::system_error& failure) {
      error = failure.code();
      text = failure.what();
    }
  CHECK(error == std::error_code(ENOMEM, std::generic_category()));
  CHECK(text.find("stack") != std::string::npos);
  CHECK(arena.in_use() == tops.size());
  for (char* top : tops) arena.release(top);
  CHECK(arena.in_use() == 0);
}
#endif

TEST_CASE("green threads take a stack each and give it back at their end") {
  uvlet::Hub& hub = uvlet::Hub::get();
  green::sleep(0);
  const std::size_t before = hub.stats().green_threads;
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 50; ++i)
    threads.push_back(green::spawn([] { green::sleep(test::watchdog); }));
  green::sleep(0);
  CHECK(hub.stats().green_threads == before + 50);
  for (auto& thread : threads) thread.kill();
  CHECK(hub.stats().green_threads == before);
}

TEST_CASE("ten thousand short green threads need no more than a few stacks") {
  uvlet::Hub& hub = uvlet::Hub::get();
  const std::size_t before = hub.stats().green_threads;
  for (int i = 0; i < 10'000; ++i) green::spawn([] {}).wait();
  CHECK(hub.stats().green_threads == before);
}

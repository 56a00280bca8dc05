#include <green/dns.hpp>

#include "../fake_resolver.hpp"
#include "../support.hpp"

#include <aio/fs.hpp>
#include <aio/gather.hpp>
#include <aio/to_thread.hpp>
#include <aio/wait_for.hpp>
#include <green/tpool.hpp>

#include <algorithm>
#include <netdb.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <uvlet/testing.hpp>

using green::Address;

namespace {

// The code of the gaierror it throws; 0 if it throws none.
template <class F>
int code_of(F call) {
  try {
    call();
  } catch (const green::gaierror& error) {
    return error.code();
  }
  return 0;
}

std::vector<Address> look_up(const std::string& host, int family = AF_UNSPEC) {
  return green::with_timeout(test::watchdog,
                             [&] { return green::dns::getaddrinfo(host, 80, family); });
}

// Look-ups that stall, each awaited by a green thread; released and ended at the end.
class Stalled {
 public:
  explicit Stalled(int number) : before_(fake::count(fake::begun)) {
    fake::stall_again();
    for (int i = 0; i < number; ++i)
      threads_.push_back(green::spawn([i] {
        return code_of([i] { green::dns::getaddrinfo(std::to_string(i) + ".stalled.fake", 80); });
      }));
  }
  // Until so many have reached the system.
  void wait_begun(int number) const {
    green::with_timeout(test::watchdog, [&] {
      while (fake::count(fake::begun) - before_ < number) green::sleep(0.001);
    });
  }
  int begun() const { return fake::count(fake::begun) - before_; }
  std::vector<green::GreenThread<int>>& threads() { return threads_; }
  ~Stalled() {
    fake::release();
    while (fake::count(fake::begun) != fake::count(fake::ended)) green::sleep(0.001);
  }

 private:
  int before_;
  std::vector<green::GreenThread<int>> threads_;
};

}  // namespace

TEST_CASE("localhost is one of the loopback addresses, with the port that was asked for") {
  const std::vector<Address> found = look_up("localhost");
  REQUIRE(!found.empty());
  for (const Address& address : found) {
    CHECK((address.host() == "127.0.0.1" || address.host() == "::1"));
    CHECK(address.port() == 80);
  }
  for (const Address& address : look_up("localhost", AF_INET)) CHECK(address.host() == "127.0.0.1");
}

TEST_CASE("a name that does not exist is gaierror, in both worlds") {
  CHECK(code_of([] { look_up("name.invalid"); }) != 0);
  CHECK(code_of([] { look_up("unknown.fake"); }) == EAI_NONAME);
  CHECK(code_of([] { green::awaitlet(aio::getaddrinfo("unknown.fake", 80)); }) == EAI_NONAME);
  CHECK(code_of([] { green::awaitlet(green::dns::getaddrinfo_async("unknown.fake", 80)); }) ==
        EAI_NONAME);
  CHECK(code_of([] { look_up("localhost", 12345); }) == EAI_FAMILY);
  CHECK_THROWS_AS(look_up(std::string("a\0b", 3)), std::invalid_argument);
}

TEST_CASE("a family is asked for") {
  fake::addresses["both.fake"] = {Address("::1", 80), Address("127.0.0.1", 80)};
  CHECK(look_up("both.fake").size() == 2);
  CHECK(look_up("both.fake", AF_INET) == std::vector<Address>{Address("127.0.0.1", 80)});
  CHECK(look_up("both.fake", AF_INET6) == std::vector<Address>{Address("::1", 80)});
}

TEST_CASE("what is an address already needs no look-up and does not switch") {
  bool switched = false;
  auto other = green::spawn([&] { switched = true; });
  CHECK(look_up("127.0.0.1").front() == Address("127.0.0.1", 80));
  CHECK(look_up("::1").front() == Address("::1", 80));
  CHECK(look_up("127.1").front().host() == "127.0.0.1");
  CHECK(look_up("0x7f000001").front().host() == "127.0.0.1");
  const Address scoped = look_up("fe80::1%1").front();
  CHECK(scoped.host() == "fe80::1%lo");
  const Address::Raw raw = scoped.raw();
  CHECK(reinterpret_cast<const sockaddr_in6*>(raw.get())->sin6_scope_id == 1);
  CHECK(code_of([] { look_up("127.0.0.1", AF_INET6); }) == EAI_ADDRFAMILY);
  CHECK(code_of([] { look_up("fe80::1%no-such-interface"); }) == EAI_NONAME);
  CHECK(!switched);
  other.wait();
}

TEST_CASE("a name in UTF-8 is passed on as one") {
  CHECK(code_of([] {
          look_up(
              "b\xc3\xbc"
              "cher.fake");
        }) == EAI_NONAME);
  CHECK((fake::count(fake::flags) & AI_IDN) != 0);
  look_up("localhost");
  CHECK((fake::count(fake::flags) & AI_IDN) == 0);
}

TEST_CASE("a look-up that takes longer than its limit is EAI_AGAIN, never early") {
  Stalled stalled(0);
  const uvlet::Time start = uvlet::Hub::get().now();
  std::string text;
  try {
    green::dns::getaddrinfo("1.stalled.fake", 80, AF_UNSPEC, 0.02);
  } catch (const green::gaierror& error) {
    CHECK(error.code() == EAI_AGAIN);
    text = error.what();
  }
  CHECK(uvlet::Hub::get().now() - start >= 20'000'000);
  CHECK(text.find("1.stalled.fake") != std::string::npos);
  CHECK(text.find("timed out") != std::string::npos);
  CHECK(look_up("localhost").size() > 0);
}

TEST_CASE("a hundred that stall keep neither names, files nor the thread pool waiting") {
  Stalled stalled(100);
  stalled.wait_begun(100);
  CHECK(look_up("localhost").size() > 0);
  green::with_timeout(test::watchdog, [] {
    for (int i = 0; i < 100; ++i) {
      CHECK(green::tpool::execute([i] { return i; }) == i);
      CHECK(green::awaitlet(aio::fs::stat("/")).is_dir());
    }
  });
  CHECK(stalled.begun() == 100);
  for (auto& thread : stalled.threads()) CHECK(!thread.dead());
  fake::release();
  for (auto& thread : stalled.threads()) CHECK(thread.wait() == EAI_NONAME);
}

TEST_CASE("ten thousand are cancelled at once, most before they were made") {
  Stalled stalled(10'000 < test::green_threads_max ? 10'000 : test::green_threads_max);
  stalled.wait_begun(128);
  for (auto& thread : stalled.threads()) {
    thread.kill();
    CHECK(thread.dead());
  }
  CHECK(stalled.begun() == 128);
  CHECK(uvlet::Hub::get().external == 0);
  fake::release();
  CHECK(look_up("localhost").size() > 0);  // the threads are free again
  CHECK(stalled.begun() == 128);
}

TEST_CASE("a Timeout and a cancel end the wait at once") {
  Stalled stalled(0);
  CHECK_THROWS_AS(green::with_timeout(0.001, [] { green::dns::getaddrinfo("1.stalled.fake", 80); }),
                  green::TimeoutExpired);
  CHECK_THROWS_AS(aio::run(aio::wait_for(aio::getaddrinfo("2.stalled.fake", 80), 0.001)),
                  aio::TimeoutError);
  auto dropped = aio::create_task(aio::getaddrinfo("3.stalled.fake", 80));
  green::sleep(0.001);
  CHECK(dropped.cancel());
  CHECK_THROWS_AS(green::awaitlet(dropped), aio::CancelledError);
}

TEST_CASE("one that ends as its wait is cut short harms nobody") {
  for (int round = 0; round < 200; ++round) {
    auto thread = green::spawn([] { return look_up("localhost").size(); });
    if (round % 2) green::sleep(0);
    if (round % 3) std::this_thread::sleep_for(std::chrono::microseconds(round));
    thread.kill();
    CHECK(thread.dead());
  }
  CHECK(uvlet::Hub::get().external == 0);
}

TEST_CASE("a waiting look-up is no deadlock, and takes no virtual time") {
  uvlet::testing::simulate({}, [] {
    std::vector<aio::task<std::vector<Address>>> all;
    for (int i = 0; i < 20; ++i) all.push_back(aio::getaddrinfo("localhost", 80));
    for (const auto& found : aio::run(aio::gather(std::move(all)))) CHECK(!found.empty());
  });
}

TEST_CASE("the hub of a thread ends while its look-ups stall") {
  Stalled stalled(0);
  std::thread([] {
    for (int i = 0; i < 10; ++i)
      green::spawn_n([i] { green::dns::getaddrinfo(std::to_string(i) + ".stalled.fake", 80); });
    green::sleep(0.001);
  }).join();
}

TEST_CASE("after a fork the child looks names up, on threads of its own") {
  Stalled stalled(3);
  stalled.wait_begun(3);
  const pid_t child = fork();
  if (child == 0) {
    alarm(static_cast<unsigned>(test::watchdog));
    _exit(look_up("localhost").empty() ? 1 : 0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(look_up("localhost").size() > 0);
}

TEST_CASE("getnameinfo gives a host and a service") {
  const auto [host, service] = green::dns::getnameinfo(Address("127.0.0.1", 80));
  CHECK((host == "localhost" || host == "127.0.0.1"));
  CHECK((service == "http" || service == "80"));
  const std::pair<std::string, std::string> numbers("::1", "80");
  CHECK(green::dns::getnameinfo(Address("::1", 80), NI_NUMERICHOST | NI_NUMERICSERV) == numbers);
  CHECK(green::awaitlet(green::dns::getnameinfo_async(Address("::1", 80), NI_NUMERICHOST)).first ==
        "::1");
  CHECK(code_of([] { green::dns::getnameinfo(Address("192.0.2.1", 80), NI_NAMEREQD, 5); }) != 0);
  CHECK_THROWS_AS(green::dns::getnameinfo(Address("a name", 80)), std::logic_error);
}

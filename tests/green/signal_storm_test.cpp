// Signals that interrupt system calls, as often as the kernel lets them.

#include "sockets.hpp"

#include <green/os.hpp>
#include <green/subprocess.hpp>

#include <atomic>
#include <csignal>
#include <pthread.h>
#include <thread>

namespace {

std::atomic<int> caught = 0;

// A handler without SA_RESTART: interrupted system calls fail with EINTR.
class Interrupting {
 public:
  Interrupting() {
    struct sigaction action {};
    action.sa_handler = [](int) { ++caught; };
    REQUIRE(sigaction(SIGUSR1, &action, &before_) == 0);
  }
  ~Interrupting() { sigaction(SIGUSR1, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

// Sends the signal to the thread that made it until `number` were caught, and may be asked whether
// it is still at it.
class Storm {
 public:
  explicit Storm(int number)
      : thread_([this, number, target = pthread_self()] {
          caught = 0;
          while (caught < number) pthread_kill(target, SIGUSR1);
          over_ = true;
        }) {}
  ~Storm() { thread_.join(); }
  bool over() const { return over_; }

 private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE("signals during I/O, one after the other, cost no byte, no error and no child") {
  const int signals = static_cast<int>(test::operations(10'000));
  const Interrupting interrupting;
  test::TcpPair pair;
  auto echo = green::spawn([&] {
    for (std::string data; !(data = pair.b.recv(1'000)).empty();) pair.b.sendall(data);
  });
  {
    const Storm storm(signals);
    int round = 0;
    do {
      const std::string message(1'000, static_cast<char>('a' + round % 26));
      pair.a.sendall(message);
      std::string answer;
      while (answer.size() < message.size()) answer += pair.a.recv(1'000);
      REQUIRE(answer == message);
      green::Socket again = green::connect(green::listen(test::anywhere()).getsockname());
      green::sleep(0);
      if (round % 64 == 0) REQUIRE(green::check_output({"echo", "hello"}) == "hello\n");
      ++round;
    } while (!storm.over());
    CHECK(round > 1);
  }
  CHECK(caught >= signals);
  pair.a.close();
  echo.wait();
}

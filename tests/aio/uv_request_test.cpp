#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/uv_request.hpp>
#include <aio/wait_for.hpp>
#include <green/event.hpp>

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <uv.h>

namespace {

using test::Log;

// A regular file that is gone when the test is.
struct TemporaryFile {
  TemporaryFile() {
    fd = mkstemp(path);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, "hello", 5) == 5);
  }
  ~TemporaryFile() {
    close(fd);
    unlink(path);
  }
  char path[32] = "/tmp/uvlet-request-XXXXXX";
  int fd = -1;
};

auto stat_of(std::string path) {
  return aio::uv_request<uv_fs_t>(
      [path = std::move(path)](uv_loop_t* loop, uv_fs_t* request, auto callback) {
        return uv_fs_stat(loop, request, path.c_str(), callback);
      });
}

aio::task<std::uint64_t> size_of(std::string path) {
  auto request = co_await stat_of(std::move(path));
  if (request->result < 0)
    throw std::system_error(static_cast<int>(-request->result), std::generic_category());
  co_return request->statbuf.st_size;
}

// Work on libuv's pool; `started` and `over` are seen from this thread.
struct Job {
  std::atomic<bool> started{false}, release{false}, over{false};
};
auto work(Job& job) {
  return aio::uv_request<uv_work_t>([&job](uv_loop_t* loop, uv_work_t* request, auto callback) {
    request->data = &job;
    return uv_queue_work(
        loop, request,
        [](uv_work_t* running) {
          auto* shared = static_cast<Job*>(running->data);
          shared->started = true;
          while (!shared->release) std::this_thread::yield();
          shared->over = true;
        },
        callback);
  });
}

}  // namespace

TEST_CASE("co_await gives the finished request") {
  const TemporaryFile file;
  CHECK(aio::run(size_of(file.path)) == 5);
}

TEST_CASE("awaitlet waits for a request in a green thread") {
  const TemporaryFile file;
  auto request = green::awaitlet(stat_of(file.path));
  CHECK(request->result == 0);
  CHECK(request->statbuf.st_size == 5);
  test::in_green_thread([&] { CHECK(green::awaitlet(stat_of(file.path))->statbuf.st_size == 5); });
}

TEST_CASE("a request without a status carries its failure in itself") {
  CHECK_THROWS_AS(aio::run(size_of("/nonexistent/file")), std::system_error);
}

TEST_CASE("a failed start is system_error with the errno, generic_category") {
  auto refuse = [](uv_loop_t*, uv_work_t*, auto) { return UV_EINVAL; };
  try {
    (void)green::awaitlet(aio::uv_request<uv_work_t>(refuse));
    FAIL("not reached");
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::error_code(EINVAL, std::generic_category()));
  }
  auto in_coroutine = [refuse]() -> aio::task<bool> {
    try {
      co_await aio::uv_request<uv_work_t>(refuse);
    } catch (const std::system_error& error) {
      co_return error.code().value() == EINVAL;
    }
    co_return false;
  };
  CHECK(aio::run(in_coroutine()));
  CHECK(green::awaitlet(in_coroutine()));
}

TEST_CASE("a negative status is system_error too") {
  uv_tcp_t handle;
  REQUIRE(uv_tcp_init(uvlet::Hub::current().loop(), &handle) == 0);
  sockaddr_in nobody{};
  nobody.sin_family = AF_INET;
  nobody.sin_port = htons(1);  // reserved, and nobody listens there
  nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto connect = [&](uv_loop_t*, uv_connect_t* request, auto callback) {
    return uv_tcp_connect(request, &handle, reinterpret_cast<sockaddr*>(&nobody), callback);
  };
  CHECK_THROWS_AS((void)green::awaitlet(aio::uv_request<uv_connect_t>(connect)), std::system_error);
  green::Event<> closed;
  handle.data = &closed;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle),
           [](uv_handle_t* one) { static_cast<green::Event<>*>(one->data)->send(); });
  closed.wait();
}

TEST_CASE("others run while a request is in flight") {
  Job job;
  Log log;
  auto future = aio::create_task(work(job));
  green::sleep(0.005);
  log("here");
  CHECK(!future.done());
  job.release = true;
  (void)green::awaitlet(std::move(future));
  CHECK(log.text() == "here");
}

TEST_CASE("many requests at once") {
  const TemporaryFile file;
  std::vector<aio::Future<std::uint64_t>> all;
  for (int i = 0; i < 50; ++i) all.push_back(aio::create_task(size_of(file.path)));
  for (auto& one : all) CHECK(green::awaitlet(one) == 5);
}

TEST_CASE("a request that cannot be stopped is waited for when its awaiter is killed") {
  Job job;
  auto thread = green::spawn([&] { (void)green::awaitlet(work(job)); });
  while (!job.started) green::sleep(0.001);
  thread.kill();  // only asks: the request may refer to the green thread's memory
  CHECK(!thread.dead());
  job.release = true;
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(job.over);
}

TEST_CASE("a cancelled task waits for the end of its request") {
  Job job;
  auto body = [](Job& shared) -> aio::task<> { (void)co_await work(shared); };
  auto future = aio::create_task(body(job));
  while (!job.started) green::sleep(0.001);
  future.cancel();
  green::sleep(0.005);
  CHECK(!future.done());
  job.release = true;
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(job.over);
}

TEST_CASE("a request that waits for a thread is cancelled by libuv") {
  // More jobs than the pool has threads: the last one is queued until one of them ends.
  std::vector<std::unique_ptr<Job>> busy;
  std::vector<aio::Future<aio::Request<uv_work_t>>> running;
  const char* configured = std::getenv("UV_THREADPOOL_SIZE");
  const int threads = configured ? std::atoi(configured) : 4;
  for (int i = 0; i < threads; ++i) {
    busy.push_back(std::make_unique<Job>());
    running.push_back(aio::create_task(work(*busy.back())));
  }
  for (auto& job : busy)
    while (!job->started) green::sleep(0.001);
  Job queued;
  auto thread = green::spawn([&] { (void)green::awaitlet(work(queued)); });
  green::sleep(0);
  thread.kill();
  green::with_timeout(test::watchdog, [&] { CHECK_THROWS_AS(thread.wait(), green::GreenletExit); });
  CHECK(!queued.started);
  for (auto& job : busy) job->release = true;
  for (auto& one : running) (void)green::awaitlet(std::move(one));
}

TEST_CASE("wait_for a request waits for its callback, then times out") {
  Job job;
  std::thread releaser([&] {
    while (!job.started) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    job.release = true;
  });
  CHECK_THROWS_AS((void)green::awaitlet(aio::wait_for(work(job), 0.001)), aio::TimeoutError);
  CHECK(job.over);
  releaser.join();
}

TEST_CASE("a request that is never awaited is never started") {
  Job job;
  { auto unused = work(job); }
  green::sleep(0.002);
  CHECK(!job.started);
}

TEST_CASE("the request that is given back is the caller's to keep") {
  const TemporaryFile file;
  aio::Request<uv_fs_t> kept;
  test::in_green_thread([&] { kept = green::awaitlet(stat_of(file.path)); });
  green::sleep(0.001);
  CHECK(kept->statbuf.st_size == 5);
}

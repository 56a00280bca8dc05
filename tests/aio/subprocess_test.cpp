#include <aio/subprocess.hpp>

#include "../support.hpp"

#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace {

aio::ProcessOptions pipes() {
  aio::ProcessOptions options;
  options.in = options.out = options.err = aio::PIPE;
  return options;
}
aio::Process start(std::vector<std::string> argv, aio::ProcessOptions options = {}) {
  return green::awaitlet(aio::create_subprocess_exec(std::move(argv), std::move(options)));
}
aio::Process shell(std::string command, aio::ProcessOptions options = pipes()) {
  return green::awaitlet(aio::create_subprocess_shell(std::move(command), std::move(options)));
}

}  // namespace

TEST_CASE("wait gives the exit status, or minus the signal, any number of times") {
  aio::Process three = shell("exit 3");
  CHECK(green::awaitlet(three.wait()) == 3);
  CHECK(green::awaitlet(three.wait()) == 3);
  CHECK(three.returncode() == 3);
  aio::Process sleeping = start({"sleep", "100"});
  CHECK(sleeping.pid() > 0);
  CHECK(!sleeping.returncode());
  sleeping.terminate();
  CHECK(green::awaitlet(sleeping.wait()) == -SIGTERM);
  CHECK_THROWS_AS(sleeping.kill(), std::system_error);
}

TEST_CASE("communicate feeds and reads more than a pipe holds") {
  const std::string large(2'000'000, 'z');
  aio::Process cat = start({"cat"}, pipes());
  const auto [out, err] = green::awaitlet(cat.communicate(large));
  CHECK(out == large);
  CHECK(err == "");
  CHECK(cat.returncode() == 0);
}

TEST_CASE("output and errors come apart, or together") {
  const auto [out, err] = green::awaitlet(shell("echo out; echo err >&2").communicate());
  CHECK(out == "out\n");
  CHECK(err == "err\n");
  aio::ProcessOptions together = pipes();
  together.err = aio::STDOUT;
  aio::Process both = shell("echo out; echo err >&2", together);
  CHECK(green::awaitlet(both.communicate()).first == "out\nerr\n");
  CHECK_THROWS_AS(both.err(), std::logic_error);
}

TEST_CASE("its streams are Streams") {
  auto body = [](std::vector<std::string> argv, std::vector<std::string> lines) -> aio::task<> {
    aio::Process process = co_await aio::create_subprocess_exec(argv, pipes());
    for (const std::string& line : lines) {
      process.in().write(line);
      const std::string answer = co_await process.out().readline();
      CHECK(answer == line);
    }
    process.in().write_eof();
    const std::string rest = co_await process.out().read(10);
    CHECK(rest == "");
    const int status = co_await process.wait();
    CHECK(status == 0);
  };
  aio::run(body({"cat"}, {"one\n", "two\n"}));
}

TEST_CASE("DEVNULL, a descriptor, a directory and an environment") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  aio::ProcessOptions options;
  options.in = aio::DEVNULL;
  options.out = ends[1];
  options.cwd = "/";
  options.env.emplace();
  (*options.env)["NAME"] = "value";
  aio::Process process = shell("cat; pwd; echo $NAME", options);
  close(ends[1]);
  CHECK(green::awaitlet(process.wait()) == 0);
  char buffer[64] = {};
  CHECK(read(ends[0], buffer, sizeof buffer - 1) == 8);
  CHECK(std::string(buffer) == "/\nvalue\n");
  close(ends[0]);
}

TEST_CASE("pipes block for it, it is looked up in its PATH, and a wrong directory is named") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  aio::ProcessOptions options = pipes();
  options.in = ends[0];
  aio::Process cat = start({"cat"}, options);
  green::sleep(0.05);
  CHECK(write(ends[1], "late", 4) == 4);
  close(ends[0]);
  close(ends[1]);
  CHECK(green::awaitlet(cat.communicate()).first == "late");
  aio::ProcessOptions nowhere;
  nowhere.env.emplace();
  (*nowhere.env)["PATH"] = "/nowhere";
  CHECK_THROWS_WITH_AS(start({"true"}, nowhere), doctest::Contains("start true: No such file"),
                       std::system_error);
  nowhere.cwd = "/no-such-directory";
  CHECK_THROWS_WITH_AS(start({"true"}, nowhere),
                       doctest::Contains("start true in /no-such-directory: No such file"),
                       std::system_error);
}

TEST_CASE("a program that cannot be started is system_error, and no descriptor is lost") {
  const int before = dup(0);
  close(before);
  for (int i = 0; i < 3; ++i) {
    int error = 0;
    try {
      start({"/nonexistent/program"}, pipes());
    } catch (const std::system_error& failed) {
      error = failed.code().value();
    }
    CHECK(error == ENOENT);
  }
  green::sleep(0.001);
  const int after = dup(0);
  close(after);
  CHECK(after == before);
  CHECK_THROWS_AS(start({}), std::invalid_argument);
}

TEST_CASE("a child that does not read its input") {
  aio::Process process = shell("exec <&-; echo done");
  CHECK(green::awaitlet(process.communicate(std::string(1'000'000, 'x'))).first == "done\n");
}

TEST_CASE("a wait that is cut short leaves the child alone") {
  aio::Process process = start({"sleep", "100"});
  CHECK_THROWS_AS(aio::run(aio::wait_for(process.wait(), 0.001)), aio::TimeoutError);
  CHECK(!process.returncode());
  process.kill();
  CHECK(green::awaitlet(process.wait()) == -SIGKILL);
}

TEST_CASE("many at once") {
  auto one = [](int number) -> aio::task<int> {
    aio::Process process = co_await aio::create_subprocess_shell("exit " + std::to_string(number));
    co_return co_await process.wait();
  };
  std::vector<aio::task<int>> all;
  for (int i = 0; i < 20; ++i) all.push_back(one(i));
  const auto codes = aio::run(aio::gather(std::move(all)));
  for (int i = 0; i < 20; ++i) CHECK(codes[static_cast<std::size_t>(i)] == i);
}

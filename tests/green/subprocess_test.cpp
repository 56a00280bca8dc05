#include <green/subprocess.hpp>

#include "sockets.hpp"

#include <aio/fs.hpp>
#include <aio/gather.hpp>
#include <green/convenience.hpp>
#include <green/greenpool.hpp>
#include <green/os.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

using green::Popen;
using green::PopenOptions;

namespace {

PopenOptions pipes() {
  PopenOptions options;
  options.in = options.out = options.err = green::PIPE;
  return options;
}
Popen shell(const std::string& command, PopenOptions options = pipes()) {
  return Popen({"/bin/sh", "-c", command}, std::move(options));
}
std::string output_of(const std::string& command, PopenOptions options = {}) {
  return green::check_output({"/bin/sh", "-c", command}, std::move(options));
}
// By one who closes nothing in the child.
std::string output_by_popen(const std::string& command) {
  FILE* output = ::popen(command.c_str(), "re");
  REQUIRE(output != nullptr);
  std::string text;
  for (int c; (c = std::fgetc(output)) != EOF;) text += static_cast<char>(c);
  ::pclose(output);
  return text;
}
int next_free_number() {
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}
// A child that has exited and was not reaped.
bool is_zombie(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(status, text);
  return text.find(") Z ") != std::string::npos;
}
bool exists(pid_t pid) { return ::kill(pid, 0) == 0; }
void wait_gone(pid_t pid) {
  green::with_timeout(test::watchdog, [pid] {
    while (exists(pid)) green::sleep(0.001);
  });
}

}  // namespace

TEST_CASE("wait gives the exit status, or minus the signal, to any number of waiters") {
  Popen three = shell("exit 3");
  CHECK(three.wait() == 3);
  CHECK(three.wait() == 3);
  CHECK(three.returncode() == 3);
  CHECK(three.poll() == 3);
  three.kill();  // too late, and no error
  Popen sleeping({"sleep", "100"});
  CHECK(!sleeping.poll());
  auto one = green::spawn([&] { return sleeping.wait(); });
  auto other = aio::create_task(sleeping.wait_async());
  green::sleep(0);
  sleeping.terminate();
  CHECK(one.wait() == -SIGTERM);
  CHECK(green::awaitlet(other) == -SIGTERM);
}

TEST_CASE("poll sees an exit that the loop has not seen yet") {
  Popen child({"true"});
  siginfo_t info{};
  REQUIRE(waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT) == 0);
  CHECK(!child.returncode());
  CHECK(child.poll() == 0);
  CHECK(child.wait() == 0);
}

TEST_CASE("wait with a limit is TimeoutExpired, and the child goes on") {
  Popen child({"sleep", "100"});
  try {
    child.wait(0.01);
    CHECK(false);
  } catch (const green::TimeoutExpired& error) {
    CHECK(error.seconds() == 0.01);
  }
  CHECK(!child.poll());
  auto waiter = green::spawn([&] { child.wait(); });
  green::sleep(0);
  waiter.kill();
  CHECK(waiter.dead());
  CHECK(exists(child.pid()));
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { child.wait(test::watchdog); }),
                  green::TimeoutExpired);
  child.kill();
  CHECK(child.wait(test::watchdog) == -SIGKILL);
}

TEST_CASE("a child is talked to line by line, over Files") {
  Popen cat({"cat"}, pipes());
  for (const std::string line : {"one\n", "two\n"}) {
    cat.in().write(line);
    cat.in().flush();
    CHECK(cat.out().readline() == line);
  }
  cat.in().close();
  CHECK(cat.out().readline() == "");
  CHECK(cat.wait() == 0);
  CHECK_THROWS_AS(Popen({"true"}).out(), std::logic_error);
}

TEST_CASE("communicate moves a megabyte both ways, and more than pipes hold") {
  const std::string large(1 << 20, 'z');
  Popen both = shell("tee /dev/stderr");
  const auto [out, err] =
      green::with_timeout(test::watchdog, [&] { return both.communicate(large); });
  CHECK(out == large);
  CHECK(err == large);
  CHECK(both.returncode() == 0);
}

TEST_CASE("communicate that is killed, or out of time, loses nothing when called again") {
  const std::string large(1 << 20, 'z');
  Popen child = shell("echo first; sleep 0.2; read wait; cat");
  auto talking = green::spawn([&] { child.communicate("\n" + large); });
  green::sleep(0.01);
  talking.kill();
  CHECK_THROWS_AS(talking.wait(), green::GreenletExit);
  CHECK_THROWS_AS(child.communicate("more"), std::logic_error);
  CHECK(child.communicate().first == "first\n" + large);

  Popen slow = shell("echo early; sleep 0.2; echo late");
  CHECK_THROWS_AS(slow.communicate({}, 0.05), green::TimeoutExpired);
  CHECK(slow.communicate({}, test::watchdog).first == "early\nlate\n");

  Popen stuck = shell("exec sleep 100");
  CHECK_THROWS_AS(stuck.communicate({}, 0.01), green::TimeoutExpired);
  stuck.kill();
  CHECK(stuck.communicate().first == "");
  CHECK(stuck.returncode() == -SIGKILL);
}

TEST_CASE("options are named where they are given") {
  Popen echo({"sh", "-c", "cat; pwd"}, {.in = green::PIPE, .out = green::PIPE, .cwd = "/"});
  CHECK(echo.communicate("in ").first == "in /\n");
  CHECK(green::call({"sh", "-c", "exit $CODE"}, {.env = {{{"CODE", "3"}}}}) == 3);
}

TEST_CASE("a child that does not read its input") {
  CHECK(shell("exec <&-; echo done").communicate(std::string(1 << 20, 'x')).first == "done\n");
}

TEST_CASE("errors into the output, DEVNULL, a descriptor, a directory, an environment") {
  PopenOptions together = pipes();
  together.err = green::STDOUT;
  CHECK(shell("echo out; echo err >&2", together).communicate().first == "out\nerr\n");
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  PopenOptions options;
  options.in = green::DEVNULL;
  options.out = ends[1];
  options.cwd = "/";
  options.env.emplace();
  (*options.env)["NAME"] = "value";
  CHECK(shell("cat; pwd; echo $NAME", options).wait() == 0);
  close(ends[1]);
  char buffer[64] = {};
  CHECK(read(ends[0], buffer, sizeof buffer - 1) == 8);
  CHECK(std::string(buffer) == "/\nvalue\n");
  close(ends[0]);
  PopenOptions swapped;  // numbers that the child's own three would overwrite
  swapped.out = STDERR_FILENO;
  swapped.err = STDOUT_FILENO;
  CHECK(shell("exit 0", swapped).wait() == 0);
}

TEST_CASE("what cannot be started is system_error with the errno, and no descriptor is lost") {
  const int before = next_free_number();
  auto errno_of = [](std::vector<std::string> argv, PopenOptions options) {
    try {
      Popen child(std::move(argv), std::move(options));
    } catch (const std::system_error& error) {
      return error.code().value();
    }
    return 0;
  };
  CHECK(errno_of({"/nonexistent/program"}, pipes()) == ENOENT);
  CHECK(errno_of({"no-such-program-in-path"}, pipes()) == ENOENT);
  CHECK(errno_of({"/"}, pipes()) == EACCES);
  PopenOptions nowhere = pipes();
  nowhere.cwd = "/nonexistent";
  CHECK(errno_of({"true"}, nowhere) == ENOENT);
  PopenOptions closed;
  closed.out = 9999;
  CHECK(errno_of({"true"}, closed) == EBADF);
  PopenOptions nonsense;
  nonsense.in = green::STDOUT;
  CHECK_THROWS_AS(Popen({"true"}, nonsense), std::invalid_argument);
  CHECK_THROWS_AS(Popen({}), std::invalid_argument);
  CHECK(next_free_number() == before);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // nor a child
}

TEST_CASE("the child has three descriptors, no signal blocked or ignored") {
  const int kept = ::open("/dev/null", O_RDONLY);            // not closed on exec
  const std::string listed = output_of("ls /proc/self/fd");  // and the one that ls itself opens
  CHECK(std::count(listed.begin(), listed.end(), '\n') == 4);
  CHECK(fcntl(kept, F_GETFD) == 0);
  close(kept);
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  const std::string status = output_of("exec grep -E '^Sig(Blk|Ign)' /proc/self/status");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::istringstream lines(status);
  std::string name;
  std::uint64_t signals = 0;
  CHECK((lines >> name >> std::hex >> signals && name == "SigBlk:" && signals == 0));
  // But for the two that are the C library's own.
  CHECK((lines >> name >> signals && name == "SigIgn:" && (signals & ~0x180000000) == 0));
}

TEST_CASE("a child that nobody knows of any more is reaped in the background") {
  pid_t pid = 0;
  {
    Popen child = shell("read line");
    pid = child.pid();
  }  // its input ends with the Popen
  wait_gone(pid);
  CHECK(!is_zombie(pid));
  std::thread([&pid] {  // nor does the hub that started it have to be there
    Popen child({"sleep", "0.1"});
    pid = child.pid();
    auto waiter = green::spawn([&] { child.wait(); });
    green::sleep(0);
  })
      .join();
  wait_gone(pid);
}

TEST_CASE("check_output, check_call and call") {
  CHECK(green::check_output({"echo", "text"}) == "text\n");
  CHECK(green::call({"/bin/sh", "-c", "exit 7"}) == 7);
  green::check_call({"true"});
  CHECK_THROWS_AS(green::check_call({"false"}), green::CalledProcessError);
  try {
    output_of("echo before; exit 3");
    CHECK(false);
  } catch (const green::CalledProcessError& error) {
    CHECK(error.returncode == 3);
    CHECK(error.output == "before\n");
    CHECK(std::string(error.what()).find("echo before") != std::string::npos);
  }
  CHECK(green::awaitlet(green::check_output_async({"echo", "text"})) == "text\n");
}

TEST_CASE("a program that call waits for is killed with the wait") {
  const std::string marker = "/tmp/uvlet-subprocess-" + std::to_string(getpid());
  auto caller = green::spawn([&] {
    green::call({"/bin/sh", "-c", "echo $$ > " + marker + "; exec sleep 100"});
  });
  pid_t pid = 0;
  green::with_timeout(test::watchdog, [&] {
    while (pid == 0) {
      green::sleep(0.001);
      std::ifstream(marker) >> pid;
    }
  });
  caller.kill();
  wait_gone(pid);
  unlink(marker.c_str());
}

TEST_CASE("a thousand, forty at a time, leave neither descriptors nor zombies") {
  const int before = next_free_number();
  std::set<pid_t> pids;
  green::GreenPool pool(40);
  int wrong = 0;
  for (int i = 0; i < 1000; ++i)
    pool.spawn_n([&, i] {
      Popen child({"/bin/sh", "-c", "read n; exit $n"}, pipes());
      pids.insert(child.pid());
      child.communicate(std::to_string(i % 100) + "\n");
      if (child.returncode() != i % 100) ++wrong;
    });
  pool.waitall();
  CHECK(wrong == 0);
  CHECK(next_free_number() == before);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a thousand programs that two busy hubs start have no descriptor but their own three") {
  const int each = static_cast<int>(test::operations(50));
  const std::string listing = "exec ls /proc/self/fd";
  const std::string own_three = "0\n1\n2\n3\n";            // and the folder that ls reads
  const std::string inherited = output_by_popen(listing);  // by this program
  std::atomic<int> wrong = 0, echoed = 0;
  uvlet::run_on_threads(2, [&](int) {
    bool over = false;
    green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
    auto server = green::spawn([&] {
      green::serve(listener, [](green::Socket socket, const green::Address&) {
        for (std::string data; !(data = socket.recv(100)).empty();) socket.sendall(data);
      });
    });
    auto load = green::spawn([&] {  // descriptors of every kind come and go
      while (!over) {
        green::Socket client = green::connect(listener.getsockname());
        const green::Socket copy = client.dup();
        const auto [r, w] = green::os::pipe();
        const green::OwnedFd read_end(r), write_end(w);
        auto file = green::awaitlet(aio::fs::open("/dev/null", "r"));
        client.sendall("x");
        echoed += client.recv(1) == "x";
      }
    });
    green::GreenPool pool(20);
    for (int i = 0; i < each; ++i)
      pool.spawn_n([&, i] {
        if (i % 2)
          wrong += output_of(listing) != own_three;
        else
          wrong += output_by_popen(listing) != inherited;
      });
    pool.waitall();
    over = true;
    load.wait();
    server.kill();
  });
  CHECK(wrong.load() == 0);
  CHECK(echoed.load() > 0);
}

TEST_CASE("in the child of a fork processes are started; the parent's are not waited for") {
  Popen child({"sleep", "100"});
  const pid_t forked = fork();
  if (forked == 0) {
    alarm(static_cast<unsigned>(test::watchdog));
    bool refused = false;
    try {
      child.wait();
    } catch (const std::system_error& error) {
      refused = error.code().value() == ECHILD;
    }
    _exit(refused && !child.poll() && output_of("echo in the child") == "in the child\n" ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(forked, &status, 0) == forked);
  CHECK(status == 0);
  CHECK(output_of("echo in the parent") == "in the parent\n");
  child.kill();
  CHECK(child.wait() == -SIGKILL);
}

TEST_CASE("somebody else reaps it, or the system does") {
  Popen child({"true"});
  REQUIRE(waitpid(child.pid(), nullptr, 0) == child.pid());
  CHECK(child.wait() == -1);
}

TEST_CASE("what would be cut short on its way to a process is refused, by name") {
  const std::string cut("a\0b", 3);
  using Environment = std::map<std::string, std::string>;
  const auto with_env = [](Environment environment) {
    green::PopenOptions options;
    options.env = std::move(environment);
    return options;
  };
  green::PopenOptions in_folder;
  in_folder.cwd = cut;
  CHECK_THROWS_WITH_AS(green::Popen({cut}), doctest::Contains("'a\\0b'"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(green::Popen({"true", cut}),
                       "an argument of a process has a NUL byte in it: 'a\\0b'",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(green::Popen({"true"}, in_folder),
                       "the cwd of a process has a NUL byte in it: 'a\\0b'", std::invalid_argument);
  CHECK_THROWS_WITH_AS(green::Popen({"true"}, with_env({{"NAME", cut}})),
                       "an environment variable has a NUL byte in it: 'NAME=a\\0b'",
                       std::invalid_argument);
  for (const char* name : {"", "=", "A=B"})
    CHECK_THROWS_WITH_AS(green::Popen({"true"}, with_env({{name, "x"}})),
                         doctest::Contains("the name of an environment variable"),
                         std::invalid_argument);
}

TEST_CASE("a pipe's end of ours, which does not block, blocks for the program that gets it") {
  Popen slow({"/bin/sh", "-c", "sleep 0.05; echo first; sleep 0.05; echo second"},
             {.out = green::PIPE});
  Popen cat({"cat"}, {.in = slow.out().fileno(), .out = green::PIPE});
  CHECK(cat.communicate().first == "first\nsecond\n");
  CHECK(cat.wait() == 0);
  CHECK((fcntl(slow.out().fileno(), F_GETFL) & O_NONBLOCK) != 0);

  Popen reader({"/bin/sh", "-c", "sleep 0.05; wc -c"}, pipes());
  Popen writer({"head", "-c", "300000", "/dev/zero"}, {.out = reader.in().fileno()});
  CHECK(writer.wait() == 0);
  CHECK(reader.communicate().first == "300000\n");
}

TEST_CASE("a pipe that is inherited blocks for the program, whether or not it does here") {
  const auto [r, w] = green::os::pipe();
  const green::OwnedFd own_input(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
  const green::OwnedFd read_end(r);
  REQUIRE(dup2(r, STDIN_FILENO) == STDIN_FILENO);
  REQUIRE(fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) == 0);
  Popen cat({"cat"}, {.out = green::PIPE});
  CHECK((fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK) != 0);
  REQUIRE(dup2(own_input.get(), STDIN_FILENO) == STDIN_FILENO);
  green::sleep(0.05);
  green::os::write(w, "late");
  close(w);
  CHECK(cat.communicate().first == "late");
}

TEST_CASE("a pipe of packets stays one") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0);
  CHECK(shell("echo a; echo b", {.out = ends[1]}).wait() == 0);
  char packet[16];
  CHECK(read(ends[0], packet, sizeof packet) == 2);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("a socket is as it is here: non-blocking, unless that was cleared") {
  const auto input_of_cat = [](bool cleared) {
    auto [ours, given] = test::connected();
    if (cleared) REQUIRE(fcntl(given.fileno(), F_SETFL, 0) == 0);
    Popen cat({"cat"}, {.in = given.fileno(), .out = green::PIPE, .err = green::DEVNULL});
    CHECK(((fcntl(given.fileno(), F_GETFL) & O_NONBLOCK) == 0) == cleared);
    given.close();
    if (!cleared) return std::to_string(cat.wait());
    green::sleep(0.05);
    ours.sendall("late");
    ours.close();
    return cat.communicate().first;
  };
  CHECK(input_of_cat(true) == "late");
  CHECK(input_of_cat(false) == "1");  // EAGAIN
}

TEST_CASE("a program is looked up in the PATH that it gets, from the directory where it runs") {
  const test::Folder folder;
  const auto install = [&](const std::string& file, const std::string& text, mode_t mode) {
    std::ofstream(folder / file) << "#!/bin/sh\necho " << text << "\n";
    REQUIRE(chmod((folder / file).c_str(), mode) == 0);
  };
  REQUIRE(mkdir((folder / "a").c_str(), 0700) == 0);
  REQUIRE(mkdir((folder / "b").c_str(), 0700) == 0);
  REQUIRE(mkdir((folder / "c").c_str(), 0700) == 0);
  install("a/program", "of a", 0600);
  install("b/program", "of b", 0700);
  install("c/program", "of c", 0700);
  const auto run = [&](const std::string& path, const std::string& cwd = {}) {
    return green::check_output({"program"}, {.cwd = cwd, .env = {{{"PATH", path}}}});
  };
  const std::string a = folder / "a", b = folder / "b", c = folder / "c";
  CHECK(run(b + ":" + c) == "of b\n");
  CHECK(run("/nowhere:" + c + ":" + b) == "of c\n");
  CHECK(run(a + ":" + b) == "of b\n");
  CHECK(run("b:c", folder / "") == "of b\n");
  CHECK(run("/nowhere:", c) == "of c\n");
  CHECK(green::call({"true"}, {.env = {{}}}) == 0);  // where there is no PATH, the usual one
  CHECK(test::errno_of([&] { run(a); }) == EACCES);
  CHECK(test::errno_of([&] { run("/nowhere"); }) == ENOENT);
  CHECK(test::errno_of([&] { Popen({"program"}); }) == ENOENT);
}

TEST_CASE("a directory where no program can run is named") {
  const test::Folder folder;
  CHECK_THROWS_WITH_AS(Popen({"true"}, {.cwd = "/no-such-directory"}),
                       doctest::Contains("start true in /no-such-directory: No such file"),
                       std::system_error);
  CHECK_THROWS_WITH_AS(Popen({"true"}, {.cwd = "/bin/true"}),
                       doctest::Contains("in /bin/true: Not a directory"), std::system_error);
  CHECK_THROWS_WITH_AS(Popen({"no-such-program"}, {.cwd = "/"}),
                       doctest::Contains("start no-such-program: No such file"), std::system_error);
}

#include <aio/fs.hpp>

#include "../support.hpp"

#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace fs = aio::fs;

namespace {

// A directory for one test.
struct Folder {
  Folder() : path(green::awaitlet(fs::mkdtemp("/tmp/uvlet-fs-"))) {}
  ~Folder() {
    for (const fs::Entry& entry : green::awaitlet(fs::scandir(path))) {
      const std::string name = path + "/" + entry.name;
      if (entry.type == fs::EntryType::directory)
        green::awaitlet(fs::rmdir(name));
      else
        green::awaitlet(fs::unlink(name));
    }
    green::awaitlet(fs::rmdir(path));
  }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  std::string path;
};

template <class T>
int errno_of(aio::task<T> work) {
  try {
    green::awaitlet(std::move(work));
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace

TEST_CASE("write and read a whole file, large ones too") {
  const Folder folder;
  const std::string large(1'000'000, 'x');
  green::awaitlet(fs::write(folder / "file", "short"));
  CHECK(green::awaitlet(fs::read(folder / "file")) == "short");
  green::awaitlet(fs::write(folder / "file", large));
  CHECK(green::awaitlet(fs::read(folder / "file")) == large);
  green::awaitlet(fs::write(folder / "file", ""));
  CHECK(green::awaitlet(fs::read(folder / "file")) == "");
}

TEST_CASE("an open file has a position") {
  const Folder folder;
  auto body = [](std::string path) -> aio::task<> {
    fs::File file = co_await fs::open(path, "w+");
    co_await file.write("one\ntwo\nthree");
    CHECK(file.tell() == 13);
    CHECK(co_await file.seek(0) == 0);
    CHECK(co_await file.readline() == "one\n");
    CHECK(file.tell() == 4);
    CHECK(co_await file.read(3) == "two");
    co_await file.write("!");  // where it was read up to
    co_await file.seek(-5, SEEK_END);
    CHECK(co_await file.read() == "three");
    CHECK(co_await file.read() == "");
    co_await file.seek(0);
    const auto lines = co_await file.readlines();
    CHECK(lines == std::vector<std::string>{"one\n", "two!three"});
    co_await file.truncate(3);
    co_await file.fsync();
    co_await file.close();
    co_await file.close();
    CHECK(file.fileno() == -1);
    CHECK(co_await fs::read(path) == "one");
  };
  aio::run(body(folder / "file"));
}

TEST_CASE("lines that are longer than what is read at once") {
  const Folder folder;
  const std::string line(200'000, 'y');
  green::awaitlet(fs::write(folder / "file", line + "\n" + line));
  fs::File file = green::awaitlet(fs::open(folder / "file"));
  CHECK(green::awaitlet(file.readline()) == line + "\n");
  CHECK(green::awaitlet(file.readline()) == line);
  CHECK(green::awaitlet(file.readline()) == "");
}

TEST_CASE("modes: append, exclusive, and one that is none") {
  const Folder folder;
  green::awaitlet(fs::write(folder / "file", "a"));
  {
    fs::File file = green::awaitlet(fs::open(folder / "file", "a"));
    green::awaitlet(file.write("b"));
    green::awaitlet(file.write("c"));
    CHECK(file.tell() == 3);
  }
  CHECK(green::awaitlet(fs::read(folder / "file")) == "abc");
  CHECK(errno_of(fs::open(folder / "file", "x")) == EEXIST);
  CHECK_THROWS_AS(green::awaitlet(fs::open(folder / "file", "q")), std::invalid_argument);
  fs::File reader = green::awaitlet(fs::open(folder / "file", "rb"));
  CHECK((fcntl(reader.fileno(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(errno_of(reader.write("x")) == EBADF);
  green::awaitlet(reader.close());
  CHECK(errno_of(reader.read()) == EBADF);
}

TEST_CASE("errors name the call and the path") {
  CHECK_THROWS_WITH_AS(green::awaitlet(fs::open("/nonexistent/file")),
                       "open /nonexistent/file: No such file or directory", std::system_error);
  CHECK(errno_of(fs::stat("/nonexistent")) == ENOENT);
  CHECK(errno_of(fs::unlink("/nonexistent")) == ENOENT);
}

TEST_CASE("stat, exists, scandir, mkdir, rename, copy") {
  const Folder folder;
  green::awaitlet(fs::write(folder / "b", "12345"));
  const fs::Stat stat = green::awaitlet(fs::stat(folder / "b"));
  CHECK(stat.size == 5);
  CHECK(stat.is_file());
  CHECK(!stat.is_dir());
  CHECK(std::chrono::system_clock::now() - stat.modified < std::chrono::hours(1));
  green::awaitlet(fs::mkdir(folder / "a"));
  CHECK(errno_of(fs::mkdir(folder / "a")) == EEXIST);
  CHECK(green::awaitlet(fs::stat(folder / "a")).is_dir());
  green::awaitlet(fs::copy(folder / "b", folder / "c"));
  green::awaitlet(fs::rename(folder / "b", folder / "d"));
  CHECK(!green::awaitlet(fs::exists(folder / "b")));
  CHECK(green::awaitlet(fs::exists(folder / "d")));
  REQUIRE(symlink("d", (folder / "e").c_str()) == 0);
  CHECK(green::awaitlet(fs::lstat(folder / "e")).is_symlink());
  const auto entries = green::awaitlet(fs::scandir(folder.path));
  REQUIRE(entries.size() == 4);
  CHECK(entries[0].name == "a");
  CHECK(entries[0].type == fs::EntryType::directory);
  CHECK(entries[1].name == "c");
  CHECK(entries[1].type == fs::EntryType::file);
  CHECK(entries[3].type == fs::EntryType::symlink);
  CHECK(green::awaitlet(fs::read(folder / "c")) == "12345");
}

TEST_CASE("mkstemp gives an open file and its name") {
  const Folder folder;
  auto [file, path] = green::awaitlet(fs::mkstemp(folder / "t-"));
  CHECK(path.rfind(folder / "t-", 0) == 0);
  green::awaitlet(file.write("x"));
  CHECK(green::awaitlet(fs::read(path)) == "x");
}

TEST_CASE("others run while a file is read, also from a pipe that has nothing yet") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  fs::File file = green::awaitlet(fs::open("/proc/self/fd/" + std::to_string(ends[0]), "r"));
  auto line = aio::create_task(file.readline());
  green::sleep(0.003);
  CHECK(!line.done());
  REQUIRE(write(ends[1], "late\n", 5) == 5);
  CHECK(green::awaitlet(line) == "late\n");
  CHECK(errno_of(file.seek(0)) == ESPIPE);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("many files at once, some of them cancelled: no descriptor is lost") {
  const Folder folder;
  green::awaitlet(fs::write(folder / "file", "content"));
  const int before = dup(0);
  close(before);
  for (int round = 0; round < 10; ++round) {
    std::vector<aio::Future<std::string>> all;
    for (int i = 0; i < 20; ++i) all.push_back(aio::create_task(fs::read(folder / "file")));
    green::sleep(0.0002 * (round % 4));
    for (std::size_t i = 0; i < all.size(); i += 2) all[i].cancel();
    for (auto& one : all) {
      try {
        const std::string content = green::awaitlet(one);
        CHECK(content == "content");
      } catch (const aio::CancelledError&) {
      }
    }
  }
  const int after = dup(0);
  close(after);
  CHECK(after == before);
}

TEST_CASE("a path with a NUL byte is refused, by name") {
  const std::string cut("a\0b", 3);
  namespace fs = aio::fs;
  CHECK_THROWS_WITH_AS(aio::run(fs::open(cut)), "open: the path has a NUL byte in it: 'a\\0b'",
                       std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::stat(cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::exists(cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::scandir(cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::rename("a", cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::copy(cut, "a")), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::unlink(cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::mkdir(cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::rmdir(cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::mkdtemp(cut)), std::invalid_argument);
  CHECK_THROWS_AS(aio::run(fs::mkstemp(cut)), std::invalid_argument);
}

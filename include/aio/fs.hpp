#pragma once

// Files, on threads of libuv's pool. Failures are system_error with the errno and the path. An
// interrupt waits for a system call that has begun.

#include <aio/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace aio::fs {

namespace detail {
struct FileState;
}

// An open file with a position, for coroutines. A shared handle; the last one closes it. One call
// at a time. Source: aiofiles.
class UVLET_API File {
 public:
  // Up to `max` bytes from the position on, by default all there are; "" at the end.
  task<std::string> read(std::size_t max = SIZE_MAX);
  // With its "\n", which the last line may lack; "" at the end.
  task<std::string> readline();
  task<std::vector<std::string>> readlines();
  // Writes all of it at the position, or at the end of a file that was opened with "a".
  task<void> write(std::string data);
  // Moves the position by SEEK_SET, SEEK_CUR or SEEK_END; gives the new one. A file that has none,
  // a pipe, is ESPIPE.
  task<std::int64_t> seek(std::int64_t offset, int whence = 0);
  std::int64_t tell() const;
  task<void> truncate(std::int64_t bytes);
  task<void> fsync();  // until it is on the disk

  // EBADF for every call after it. Does nothing the second time.
  task<void> close();
  int fileno() const;  // -1 when closed

  // For open().
  explicit File(std::shared_ptr<detail::FileState> state) noexcept;

 private:
  std::shared_ptr<detail::FileState> state_;
};

struct UVLET_API Stat {
  std::uint64_t size = 0;
  std::uint64_t mode = 0;  // type and permissions
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t links = 0;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::chrono::system_clock::time_point accessed;
  std::chrono::system_clock::time_point modified;
  std::chrono::system_clock::time_point changed;

  bool is_file() const noexcept;
  bool is_dir() const noexcept;
  bool is_symlink() const noexcept;
};

enum class EntryType { unknown, file, directory, symlink, other };

struct UVLET_API Entry {
  std::string name;
  EntryType type = EntryType::unknown;
};

// Mode as fopen's: "r", "w", "a", "x", each with "+" and "b". Throws invalid_argument for another.
UVLET_API task<File> open(std::string path, std::string mode = "r");

UVLET_API task<std::string> read(std::string path);              // all of it
UVLET_API task<void> write(std::string path, std::string data);  // in place of what was there

UVLET_API task<Stat> stat(std::string path);
UVLET_API task<Stat> lstat(std::string path);  // of a symbolic link itself
UVLET_API task<bool> exists(std::string path);
UVLET_API task<void> mkdir(std::string path, int mode = 0777);
UVLET_API task<std::vector<Entry>> scandir(std::string path);  // sorted by name
UVLET_API task<void> rename(std::string from, std::string to);
UVLET_API task<void> unlink(std::string path);
UVLET_API task<void> rmdir(std::string path);
UVLET_API task<void> copy(std::string from, std::string to);  // replaces `to`
// Make a directory, or a file that is open for "w+", whose name is `prefix` and six characters.
UVLET_API task<std::string> mkdtemp(std::string prefix = "/tmp/");
UVLET_API task<std::pair<File, std::string>> mkstemp(std::string prefix = "/tmp/");

}  // namespace aio::fs

#include <aio/fs.hpp>
#include <aio/uv_request.hpp>
#include <uvlet/byte_buffer.hpp>
#include <uvlet/c_string.hpp>
#include <uvlet/timeout.hpp>

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace aio::fs {

namespace detail {

struct FileState {
  FileState(int descriptor, std::string name, bool append)
      : fd(descriptor), path(std::move(name)), appends(append) {
    const off_t at = ::lseek(fd, 0, SEEK_CUR);
    seekable = at >= 0;
    position = std::max<off_t>(at, 0);
  }
  FileState(const FileState&) = delete;
  ~FileState() {
    if (fd >= 0) ::close(fd);
  }

  int fd;
  std::string path;
  bool appends;
  bool seekable = false;
  std::int64_t position = 0;  // of the next byte of `ahead`, else of the file
  uvlet::ByteBuffer ahead;    // read, not yet asked for
};

}  // namespace detail

namespace {

using State = std::shared_ptr<detail::FileState>;

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr int file_mode = 0666;

// The finished request. `what` names the call in errors.
template <class Start>
task<Request<uv_fs_t>> call(std::string what, Start start) {
  Request<uv_fs_t> done;
  int error = 0;
  try {
    done = co_await uv_request<uv_fs_t>(std::move(start));
    error = done->result < 0 ? static_cast<int>(-done->result) : 0;
  } catch (const std::system_error& refused) {
    error = refused.code().value();
  }
  if (error != 0) throw std::system_error(error, std::generic_category(), what);
  co_return std::move(done);
}

// Opens something: it is not interrupted, as its descriptor would be lost.
template <class Start>
task<Request<uv_fs_t>> call_whole(std::string what, Start start) {
  const uvlet::Shield shield;
  co_return co_await call(std::move(what), std::move(start));
}

std::string about(const char* name, const detail::FileState& file) {
  return std::string(name) + " " + file.path;
}

task<std::string> read_chunk(State file, std::size_t max) {
  std::string data(std::min(max, chunk_bytes), '\0');
  uv_buf_t buffer = uv_buf_init(data.data(), static_cast<unsigned>(data.size()));
  const std::int64_t at =
      file->seekable ? file->position + static_cast<std::int64_t>(file->ahead.size()) : -1;
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_read(loop, request, file->fd, &buffer, 1, at, callback);
  };
  const auto done = co_await call(about("read", *file), std::move(start));
  data.resize(static_cast<std::size_t>(done->result));
  co_return data;
}

std::string take(detail::FileState& file, std::size_t bytes) {
  std::string data = file.ahead.take(bytes);
  file.position += static_cast<std::int64_t>(data.size());
  return data;
}

task<std::string> read_up_to(State file, std::size_t max) {
  std::string data = take(*file, max);
  while (data.size() < max) {
    const std::string chunk = co_await read_chunk(file, max - data.size());
    if (chunk.empty()) break;
    file->position += static_cast<std::int64_t>(chunk.size());
    data += chunk;
  }
  co_return data;
}

task<std::string> read_line(State file) {
  for (std::size_t searched = 0;;) {
    const std::size_t end = file->ahead.view().find('\n', searched);
    if (end != std::string_view::npos) co_return take(*file, end + 1);
    searched = file->ahead.size();
    const std::string chunk = co_await read_chunk(file, chunk_bytes);
    if (chunk.empty()) co_return take(*file, searched);
    file->ahead.append(chunk);
  }
}

task<std::vector<std::string>> read_lines(State file) {
  std::vector<std::string> lines;
  for (;;) {
    std::string line = co_await read_line(file);
    if (line.empty()) co_return lines;
    lines.push_back(std::move(line));
  }
}

task<Stat> status(State file);

task<void> write_all(State file, std::string data) {
  file->ahead.clear();
  for (std::size_t written = 0; written < data.size();) {
    const std::size_t bytes = std::min<std::size_t>(data.size() - written, 1 << 30);
    uv_buf_t buffer = uv_buf_init(data.data() + written, static_cast<unsigned>(bytes));
    const std::int64_t at = file->seekable && !file->appends ? file->position : -1;
    auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
      return uv_fs_write(loop, request, file->fd, &buffer, 1, at, callback);
    };
    const auto done = co_await call(about("write", *file), std::move(start));
    written += static_cast<std::size_t>(done->result);
    file->position += static_cast<std::int64_t>(done->result);
  }
  if (file->appends && file->seekable) {
    const Stat now = co_await status(file);
    file->position = static_cast<std::int64_t>(now.size);
  }
}

task<std::int64_t> move_to(State file, std::int64_t offset, int whence) {
  if (!file->seekable)
    throw std::system_error(file->fd < 0 ? EBADF : ESPIPE, std::generic_category(),
                            about("seek", *file));
  std::int64_t base = 0;
  if (whence == SEEK_CUR) {
    base = file->position;
  } else if (whence == SEEK_END) {
    const Stat now = co_await status(file);
    base = static_cast<std::int64_t>(now.size);
  } else if (whence != SEEK_SET) {
    throw std::invalid_argument("seek: whence is none of SEEK_SET, SEEK_CUR, SEEK_END");
  }
  if (base + offset < 0)
    throw std::system_error(EINVAL, std::generic_category(), about("seek", *file));
  file->ahead.clear();
  file->position = base + offset;
  co_return file->position;
}

std::chrono::system_clock::time_point time_of(const uv_timespec_t& time) {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

Stat stat_of(const uv_stat_t& from) {
  Stat to;
  to.size = from.st_size;
  to.mode = from.st_mode;
  to.device = from.st_dev;
  to.inode = from.st_ino;
  to.links = from.st_nlink;
  to.uid = from.st_uid;
  to.gid = from.st_gid;
  to.accessed = time_of(from.st_atim);
  to.modified = time_of(from.st_mtim);
  to.changed = time_of(from.st_ctim);
  return to;
}

task<Stat> status(State file) {
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_fstat(loop, request, file->fd, callback);
  };
  const auto done = co_await call(about("stat", *file), std::move(start));
  co_return stat_of(done->statbuf);
}

int flags_of(const std::string& mode) {
  std::string kind = mode;
  std::erase(kind, 'b');
  const bool both = std::erase(kind, '+') > 0;
  const int access = both ? O_RDWR : kind == "r" ? O_RDONLY : O_WRONLY;
  if (kind == "r") return access;
  if (kind == "w") return access | O_CREAT | O_TRUNC;
  if (kind == "a") return access | O_CREAT | O_APPEND;
  if (kind == "x") return access | O_CREAT | O_EXCL;
  throw std::invalid_argument("open: the mode " + mode + " is none of r, w, a, x with + and b");
}

EntryType type_of(uv_dirent_type_t type) noexcept {
  switch (type) {
    case UV_DIRENT_FILE: return EntryType::file;
    case UV_DIRENT_DIR: return EntryType::directory;
    case UV_DIRENT_LINK: return EntryType::symlink;
    case UV_DIRENT_UNKNOWN: return EntryType::unknown;
    default: return EntryType::other;
  }
}

}  // namespace

bool Stat::is_file() const noexcept { return S_ISREG(mode); }
bool Stat::is_dir() const noexcept { return S_ISDIR(mode); }
bool Stat::is_symlink() const noexcept { return S_ISLNK(mode); }

// --- an open file

File::File(State state) noexcept : state_(std::move(state)) {}

task<std::string> File::read(std::size_t max) { return read_up_to(state_, max); }
task<std::string> File::readline() { return read_line(state_); }
task<std::vector<std::string>> File::readlines() { return read_lines(state_); }
task<void> File::write(std::string data) { return write_all(state_, std::move(data)); }
task<std::int64_t> File::seek(std::int64_t offset, int whence) {
  return move_to(state_, offset, whence);
}
std::int64_t File::tell() const { return state_->position; }
int File::fileno() const { return state_->fd; }

namespace {

task<void> truncate_to(State file, std::int64_t bytes) {
  file->ahead.clear();
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_ftruncate(loop, request, file->fd, bytes, callback);
  };
  co_await call(about("truncate", *file), std::move(start));
}

task<void> sync(State file) {
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_fsync(loop, request, file->fd, callback);
  };
  co_await call(about("fsync", *file), std::move(start));
}

task<void> close_file(State file) {
  if (file->fd < 0) co_return;
  const int fd = std::exchange(file->fd, -1);
  file->seekable = false;
  file->ahead.clear();
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_close(loop, request, fd, callback);
  };
  co_await call_whole(about("close", *file), std::move(start));
}

}  // namespace

task<void> File::truncate(std::int64_t bytes) { return truncate_to(state_, bytes); }
task<void> File::fsync() { return sync(state_); }
task<void> File::close() { return close_file(state_); }

task<File> open(std::string path, std::string mode) {
  const int flags = flags_of(mode);
  const char* const path_text = uvlet::c_string(path, "open: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_open(loop, request, path_text, flags | O_CLOEXEC, file_mode, callback);
  };
  const auto done = co_await call_whole("open " + path, std::move(start));
  co_return File(std::make_shared<detail::FileState>(static_cast<int>(done->result), path,
                                                     (flags & O_APPEND) != 0));
}

task<std::string> read(std::string path) {
  File file = co_await open(std::move(path));
  co_return co_await file.read();
}

task<void> write(std::string path, std::string data) {
  File file = co_await open(std::move(path), "w");
  co_await file.write(std::move(data));
  co_await file.close();
}

// --- names

task<Stat> stat(std::string path) {
  const char* const path_text = uvlet::c_string(path, "stat: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_stat(loop, request, path_text, callback);
  };
  const auto done = co_await call("stat " + path, std::move(start));
  co_return stat_of(done->statbuf);
}

task<Stat> lstat(std::string path) {
  const char* const path_text = uvlet::c_string(path, "lstat: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_lstat(loop, request, path_text, callback);
  };
  const auto done = co_await call("lstat " + path, std::move(start));
  co_return stat_of(done->statbuf);
}

task<bool> exists(std::string path) {
  try {
    co_await stat(std::move(path));
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::no_such_file_or_directory ||
        error.code() == std::errc::not_a_directory)
      co_return false;
    throw;
  }
  co_return true;
}

task<void> mkdir(std::string path, int mode) {
  const char* const path_text = uvlet::c_string(path, "mkdir: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_mkdir(loop, request, path_text, mode, callback);
  };
  co_await call("mkdir " + path, std::move(start));
}

task<std::vector<Entry>> scandir(std::string path) {
  const char* const path_text = uvlet::c_string(path, "scandir: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_scandir(loop, request, path_text, 0, callback);
  };
  const auto done = co_await call("scandir " + path, std::move(start));
  std::vector<Entry> entries;
  for (uv_dirent_t entry; uv_fs_scandir_next(done.get(), &entry) == 0;)
    entries.push_back({entry.name, type_of(entry.type)});
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  co_return entries;
}

task<void> rename(std::string from, std::string to) {
  const char* const from_text = uvlet::c_string(from, "rename: the path");
  const char* const to_text = uvlet::c_string(to, "rename: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_rename(loop, request, from_text, to_text, callback);
  };
  co_await call("rename " + from + " to " + to, std::move(start));
}

task<void> unlink(std::string path) {
  const char* const path_text = uvlet::c_string(path, "unlink: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_unlink(loop, request, path_text, callback);
  };
  co_await call("unlink " + path, std::move(start));
}

task<void> rmdir(std::string path) {
  const char* const path_text = uvlet::c_string(path, "rmdir: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_rmdir(loop, request, path_text, callback);
  };
  co_await call("rmdir " + path, std::move(start));
}

task<void> copy(std::string from, std::string to) {
  const char* const from_text = uvlet::c_string(from, "copy: the path");
  const char* const to_text = uvlet::c_string(to, "copy: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_copyfile(loop, request, from_text, to_text, 0, callback);
  };
  co_await call("copy " + from + " to " + to, std::move(start));
}

task<std::string> mkdtemp(std::string prefix) {
  const std::string pattern = prefix + "XXXXXX";
  const char* const pattern_text = uvlet::c_string(pattern, "mkdtemp: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_mkdtemp(loop, request, pattern_text, callback);
  };
  const auto done = co_await call_whole("mkdtemp " + pattern, std::move(start));
  co_return std::string(done->path);
}

task<std::pair<File, std::string>> mkstemp(std::string prefix) {
  const std::string pattern = prefix + "XXXXXX";
  const char* const pattern_text = uvlet::c_string(pattern, "mkstemp: the path");
  auto start = [&](uv_loop_t* loop, uv_fs_t* request, auto callback) {
    return uv_fs_mkstemp(loop, request, pattern_text, callback);
  };
  const auto done = co_await call_whole("mkstemp " + pattern, std::move(start));
  const std::string path = done->path;
  const int fd = static_cast<int>(done->result);
  co_return std::pair<File, std::string>(File(std::make_shared<detail::FileState>(fd, path, false)),
                                         path);
}

}  // namespace aio::fs

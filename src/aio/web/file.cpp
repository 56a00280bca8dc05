// FileResponse: types, conditions and ranges (RFC 9110, 13 and 14), and the files of a directory.

#include "../http/text.hpp"
#include "application.hpp"
#include "exchange.hpp"

#include <aio/to_thread.hpp>

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

namespace aio::web::detail {
namespace {

constexpr std::pair<std::string_view, std::string_view> types[] = {
    {".html", "text/html; charset=utf-8"},
    {".htm", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/markdown; charset=utf-8"},
    {".csv", "text/csv; charset=utf-8"},
    {".xml", "application/xml"},
    {".json", "application/json"},
    {".pdf", "application/pdf"},
    {".wasm", "application/wasm"},
    {".zip", "application/zip"},
    {".gz", "application/gzip"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".svg", "image/svg+xml"},
    {".webp", "image/webp"},
    {".ico", "image/vnd.microsoft.icon"},
    {".mp3", "audio/mpeg"},
    {".mp4", "video/mp4"},
    {".webm", "video/webm"},
    {".woff", "font/woff"},
    {".woff2", "font/woff2"},
};

std::string_view type_of(const std::string& path) noexcept {
  const std::size_t dot = path.rfind('.');
  if (dot != std::string::npos)
    for (const auto& [ending, type] : types)
      if (http::equal_ignoring_case(std::string_view(path).substr(dot), ending)) return type;
  return "application/octet-stream";
}

struct Status {
  int fd = -1;
  int error = 0;
  std::uint64_t bytes = 0;
  std::time_t modified = 0;
  long modified_nanoseconds = 0;
};

// On a thread of the pool: a disk may take its time.
Status open_regular(const std::string& path) {
  Status status;
  status.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not block
  struct stat found;
  if (status.fd < 0 || fstat(status.fd, &found) != 0) {
    status.error = errno;
  } else if (!S_ISREG(found.st_mode)) {
    status.error = S_ISDIR(found.st_mode) ? EISDIR : ENOENT;
  } else {
    status.bytes = static_cast<std::uint64_t>(found.st_size);
    status.modified = found.st_mtim.tv_sec;
    status.modified_nanoseconds = found.st_mtim.tv_nsec;
  }
  return status;
}

std::string etag_of(const Status& status) {
  char text[64];
  const int size = std::snprintf(
      text, sizeof text, "\"%llx-%lx-%llx\"", static_cast<unsigned long long>(status.modified),
      status.modified_nanoseconds, static_cast<unsigned long long>(status.bytes));
  return {text, static_cast<std::size_t>(size)};
}

// Whether a list of entity tags has this one. RFC 9110, 8.8.3.2: compared strongly, a weak one is
// none that matches.
enum class Compared { strongly, weakly };

bool has_tag(std::string_view list, std::string_view tag, Compared compared) {
  while (!list.empty()) {
    std::string_view one = http::detail::trimmed(http::detail::take_until(list, ','));
    if (compared == Compared::weakly && one.starts_with("W/")) one.remove_prefix(2);
    if (one == tag || one == "*") return true;
  }
  return false;
}

// What the client wants changed or sent is no longer what it knows (RFC 9110, 13.1.1 and 13.1.4).
bool precondition_failed(const http::Headers& asked, const std::string& tag, std::time_t modified) {
  if (const std::string* tags = asked.find("If-Match"))
    return !has_tag(*tags, tag, Compared::strongly);
  if (const std::string* since = asked.find("If-Unmodified-Since")) {
    const auto time = http::detail::parse_date(*since);
    return time && modified > *time;
  }
  return false;
}

bool not_modified(const http::Headers& asked, const std::string& tag, std::time_t modified) {
  if (const std::string* tags = asked.find("If-None-Match"))
    return has_tag(*tags, tag, Compared::weakly);
  if (const std::string* since = asked.find("If-Modified-Since")) {
    const auto time = http::detail::parse_date(*since);
    return time && modified <= *time;
  }
  return false;
}

bool range_applies(const http::Headers& asked, const std::string& tag, std::time_t modified) {
  const std::string* condition = asked.find("If-Range");
  if (!condition) return true;
  if (condition->starts_with('"')) return *condition == tag;
  const auto time = http::detail::parse_date(*condition);
  return time && *time == modified;
}

enum class RangeKind { all, part, unsatisfiable };

// One that is too large is the largest: no file has as many bytes.
bool number(std::string_view text, std::uint64_t& value) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) value = std::numeric_limits<std::uint64_t>::max();
  return error != std::errc::invalid_argument && end == text.data() + text.size();
}

// "bytes=1-2", "bytes=1-", "bytes=-2"; anything else asks for all of it, as several ranges do.
RangeKind parse_range(std::string_view text, std::uint64_t size, OpenFile& file) {
  if (!text.starts_with("bytes=")) return RangeKind::all;
  text.remove_prefix(6);
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return RangeKind::all;
  const std::string_view from = http::detail::trimmed(text.substr(0, dash));
  const std::string_view to = http::detail::trimmed(text.substr(dash + 1));
  std::uint64_t first = 0;
  std::uint64_t last = size - 1;
  if (from.empty()) {
    std::uint64_t suffix = 0;
    if (!number(to, suffix)) return RangeKind::all;
    if (suffix == 0 || size == 0) return RangeKind::unsatisfiable;
    first = size - std::min(suffix, size);
  } else {
    if (!number(from, first) || (!to.empty() && !number(to, last))) return RangeKind::all;
    if (!to.empty() && last < first) return RangeKind::all;
    if (first >= size) return RangeKind::unsatisfiable;
    last = std::min(last, size - 1);
  }
  file.first = first;
  file.bytes = last - first + 1;
  return RangeKind::part;
}

}  // namespace

OpenFile::OpenFile(OpenFile&& other) noexcept
    : fd(std::exchange(other.fd, -1)), first(other.first), bytes(other.bytes) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(fd, other.fd);
  first = other.first;
  bytes = other.bytes;
  return *this;
}

OpenFile::~OpenFile() {
  if (fd >= 0) ::close(fd);
}

task<OpenFile> open_file(File& file, const Request& request, Response& response) {
  auto open = [path = file.path] { return open_regular(path); };
  const Status status = co_await to_thread(std::move(open));
  OpenFile opened;
  opened.fd = status.fd;
  if (status.error == EACCES || status.error == EISDIR) throw HTTPException(403);
  if (status.error == EMFILE || status.error == ENFILE) throw HTTPException(503);
  if (status.error != 0) throw HTTPException(404);
  opened.bytes = status.bytes;
  http::Headers& headers = response.headers();
  const std::string tag = etag_of(status);
  headers.set("ETag", tag);
  headers.set("Last-Modified", http::detail::format_date(status.modified));
  headers.set("Accept-Ranges", "bytes");
  if (!headers.contains("Content-Type"))
    headers.set("Content-Type", std::string(type_of(file.path)));
  const http::Headers& asked = request.headers();
  if (response.status() == 200 && precondition_failed(asked, tag, status.modified))
    throw HTTPException(412);
  if (response.status() == 200 && not_modified(asked, tag, status.modified)) {
    response.set_status(304);
    headers.remove("Content-Type");
    co_return opened;
  }
  const std::string* range = asked.find("Range");
  if (range && response.status() == 200 && range_applies(asked, tag, status.modified)) {
    const RangeKind kind = parse_range(*range, status.bytes, opened);
    const std::string size = std::to_string(status.bytes);
    if (kind == RangeKind::unsatisfiable) {
      HTTPException error(416);
      error.headers().set("Content-Range", "bytes */" + size);
      throw error;
    }
    if (kind == RangeKind::part) {
      response.set_status(206);
      headers.set("Content-Range", "bytes " + std::to_string(opened.first) + "-" +
                                       std::to_string(opened.first + opened.bytes - 1) + "/" +
                                       size);
    }
  }
  headers.set("Content-Length", std::to_string(opened.bytes));
  co_return opened;
}

AnyHandler static_files(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path root = std::filesystem::canonical(directory, error);
  if (error || !std::filesystem::is_directory(root))
    throw std::invalid_argument("add_static: '" + directory + "' is no directory");
  AnyHandler handler;
  handler.coroutine = [root](Request& request) -> task<Response> {
    const std::string rest = request.match_info().at("filename");
    if (rest.find('\0') != std::string::npos) throw HTTPException(404);
    // Neither ".." nor a link leads out of the directory.
    auto resolve = [root, rest] {
      std::error_code failed;
      std::filesystem::path found = root;
      found += rest;
      found = std::filesystem::canonical(found, failed);
      const bool inside =
          !failed &&
          std::mismatch(root.begin(), root.end(), found.begin(), found.end()).first == root.end();
      return inside ? found.string() : std::string();
    };
    std::string path = co_await to_thread(std::move(resolve));
    if (path.empty()) throw HTTPException(404);
    co_return Response(FileResponse(std::move(path)));
  };
  return handler;
}

}  // namespace aio::web::detail

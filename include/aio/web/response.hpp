#pragma once

#include <aio/http/headers.hpp>
#include <aio/http/json.hpp>
#include <aio/task.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace aio::web {

class Request;
class StreamResponse;
class FileResponse;
class WebSocketResponse;

namespace detail {
struct Exchange;
struct Stream;
struct File;
}  // namespace detail

// An answer with all of its body, or, made from one of the others, a body that comes from
// elsewhere, which copies share. How the body is framed is the server's to say: a Content-Length
// that is not the body's (but in the answer to HEAD), a Transfer-Encoding, and a status below 200
// are a 500, and reported.
class UVLET_API Response {
 public:
  // An empty content type sends none. Throws invalid_argument for a status that is none.
  explicit Response(std::string body = {}, int status = 200,
                    std::string content_type = "text/plain; charset=utf-8");
  Response(StreamResponse stream);
  Response(FileResponse file);
  Response(WebSocketResponse socket);
  Response(const Response&);
  Response& operator=(const Response&);
  Response(Response&&) noexcept;
  Response& operator=(Response&&) noexcept;
  ~Response();

  http::Headers& headers() noexcept { return headers_; }
  const http::Headers& headers() const noexcept { return headers_; }
  int status() const noexcept { return status_; }
  void set_status(int status);
  const std::string& body() const noexcept { return body_; }
  void set_body(std::string body) { body_ = std::move(body); }

 private:
  friend struct detail::Exchange;

  int status_;
  http::Headers headers_;
  std::string body_;
  std::shared_ptr<detail::Stream> stream_;
  std::shared_ptr<detail::File> file_;
  bool websocket_ = false;
};

UVLET_API Response json_response(const http::json& value, int status = 200);

// For set_cookie. Without max_age (seconds) it lasts as long as the browser's session.
struct CookieOptions {
  CookieOptions() = default;
  std::optional<long> max_age;
  std::string path = "/";
  std::string domain;
  bool secure = false;
  bool http_only = false;
  std::string same_site;  // "Lax", "Strict", "None"
};
// Throws invalid_argument for a name or value that a cookie cannot have.
UVLET_API void set_cookie(http::Headers& headers, std::string_view name, std::string_view value,
                          const CookieOptions& options = CookieOptions());

// A body that is sent as it is made: prepare() sends the head, write() a piece, write_eof() ends
// it, which the server does too when the handler returns it. In HTTP/1.1 it goes out in chunks
// unless Content-Length is set, which is kept to: a body that ends before it closes the connection.
// A shared handle; of use while its Request lives.
class UVLET_API StreamResponse {
 public:
  explicit StreamResponse(int status = 200);

  http::Headers& headers();
  int status() const;
  // Sends the head. Throws logic_error if that was done before, for a status below 200, a
  // Transfer-Encoding, or a Content-Length that is no number.
  task<void> prepare(Request& request);
  // Waits until the system has it: as fast as the client takes it. logic_error before prepare or
  // after write_eof, invalid_argument for more than Content-Length.
  task<void> write(std::string_view data);
  task<void> write_eof();

 private:
  friend class Response;
  std::shared_ptr<detail::Stream> stream_;
};

// A file as a body: with its type, ranges, and conditions, sent by sendfile where that can be.
// HTTPException 404 where there is none.
class UVLET_API FileResponse {
 public:
  explicit FileResponse(std::string path, int status = 200);

  http::Headers& headers();

 private:
  friend class Response;
  std::shared_ptr<detail::File> file_;
};

}  // namespace aio::web

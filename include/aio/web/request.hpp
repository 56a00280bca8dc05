#pragma once

#include <aio/http/headers.hpp>
#include <aio/http/json.hpp>
#include <aio/task.hpp>
#include <aio/web/value.hpp>
#include <uvlet/address.hpp>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aio::web {

using uvlet::Address;
class Application;

namespace detail {
struct Exchange;
struct ApplicationState;
}  // namespace detail

// What a client asks for: handlers get it, and it lives until they have answered. Its body is read
// from the connection as it is asked for; green code waits with green::awaitlet(request.read()).
class UVLET_API Request {
 public:
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request();

  const std::string& method() const noexcept;
  // What was asked for, as it came: "/a%20b?c=d".
  const std::string& target() const noexcept;
  // The path alone, decoded: "/a b".
  const std::string& path() const noexcept { return path_; }
  // What follows the "?", as it came.
  const std::string& query_string() const noexcept { return query_string_; }
  // The first parameter of that name, decoded.
  std::optional<std::string> query(std::string_view name) const;
  // All parameters, decoded, in order.
  std::vector<std::pair<std::string, std::string>> query() const;
  // What the placeholders of the route's path stand for, decoded.
  const std::map<std::string, std::string>& match_info() const noexcept { return match_info_; }
  const http::Headers& headers() const noexcept;
  std::optional<std::string> cookie(std::string_view name) const;
  // Who asks: the other end of the connection.
  Address remote() const;

  // All of the body; again, the same. HTTPException 413 if it is longer than client_max_size, 400
  // if the client breaks off.
  task<std::string> read();
  task<std::string> text() { return read(); }
  // HTTPException 400 if it is none.
  task<http::json> json();
  // The fields of a form (application/x-www-form-urlencoded), decoded, in order.
  task<std::vector<std::pair<std::string, std::string>>> post();
  // The next bytes of the body; "" at its end. Any number of bytes in all.
  task<std::string> read_chunk();

  // The application whose route this is.
  Application& app() const;

  // Things that middlewares leave for handlers, which can be move-only. get: out_of_range if there
  // is none of that name, logic_error if it is of another type.
  template <class T>
  void set(std::string key, T value) {
    storage_.insert_or_assign(std::move(key), detail::Value::of(std::move(value)));
  }
  template <class T>
  T& get(const std::string& key) {
    return stored(key).template get<T>(key);
  }

 private:
  friend struct detail::Exchange;
  friend struct detail::ApplicationState;
  friend class StreamResponse;
  friend class WebSocketResponse;
  friend class Application;
  explicit Request(detail::Exchange& exchange);
  const detail::Value& stored(const std::string& key) const;

  detail::Exchange& exchange_;
  std::string_view raw_path_;  // of the target
  std::string path_;
  std::string query_string_;
  std::map<std::string, std::string> match_info_;
  std::map<std::string, detail::Value> storage_;
  std::optional<std::string> body_;
  Application* app_ = nullptr;
};

// Thrown by a handler, it becomes the response with that status. Any other exception becomes 500
// and is reported on stderr.
class UVLET_API HTTPException : public std::runtime_error {
 public:
  // No text: the reason that goes with the status.
  explicit HTTPException(int status, std::string text = {});
  int status() const noexcept { return status_; }
  const std::string& text() const noexcept { return text_; }
  // To be sent with it: a Location, an Allow.
  http::Headers& headers() noexcept { return headers_; }
  const http::Headers& headers() const noexcept { return headers_; }

 private:
  int status_;
  std::string text_;
  http::Headers headers_;
};

}  // namespace aio::web

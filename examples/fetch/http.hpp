#pragma once

// As much of HTTP/1.1 as a GET needs. Pure functions over bytes: who reads them is not its concern.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace http {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Url {
  std::string host;
  std::uint16_t port;
  std::string path;
};

// Throws Error for anything but http://host[:port][/path].
Url parse_url(std::string_view text);

std::string get_request(const Url& url);

// A response as it arrives.
class Response {
 public:
  // Throws Error for bytes that are no HTTP/1.x response.
  void feed(std::string_view data);
  // The peer has closed the connection. Throws Error if the body is not whole.
  void end_of_stream();
  bool complete() const noexcept { return complete_; }

  int status() const noexcept { return status_; }
  const std::string& body() const noexcept { return body_; }

 private:
  void parse_head(std::string_view head);
  void parse_body();
  bool parse_chunk();

  std::string input_;  // received, not yet understood
  std::string body_;
  std::size_t expected_ = 0;
  int status_ = 0;
  bool has_head_ = false;
  bool has_length_ = false;
  bool chunked_ = false;
  bool complete_ = false;
};

}  // namespace http

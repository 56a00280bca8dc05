#pragma once

// The server's side of one connection: requests in, responses out, one after the other.

#include "../http/connection.hpp"
#include "../http/parser.hpp"

#include <aio/web/request.hpp>
#include <aio/web/response.hpp>
#include <aio/web/runner.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace aio::web::detail {

struct Exchange;

// What makes the response to a request.
using Respond = std::function<task<Response>(Request&)>;

// The body of a StreamResponse.
struct Stream {
  int status;
  http::Headers headers;
  Exchange* exchange = nullptr;  // set by prepare()
  std::uint64_t sent = 0;
  bool ended = false;
};

struct File {
  std::string path;
  int status;
  http::Headers headers;
};

// One that is open, and what of it is asked for.
struct OpenFile {
  OpenFile() = default;
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();

  int fd = -1;
  std::uint64_t first = 0;
  std::uint64_t bytes = 0;
};

// Opens a file for the response to a request, and completes status and headers. Throws
// HTTPException.
task<OpenFile> open_file(File& file, const Request& request, Response& response);

struct Exchange {
  Exchange(http::detail::Connection& connection, Address peer, const ServerOptions& how);

  // Answers requests until the connection ends, and closes it.
  task<void> serve(Respond respond);
  // The server stops: what is idle ends at once, what is busy after its response.
  void stop() noexcept;

  // --- for Request and the responses ---
  task<std::string> read_chunk();
  task<void> prepare(std::shared_ptr<Stream> stream);
  task<void> write(std::shared_ptr<Stream> stream, std::string_view data);
  task<void> write_eof(std::shared_ptr<Stream> stream);

  http::detail::Connection& connection;
  http::detail::Parser parser;
  Address remote;
  const ServerOptions& options;
  bool body_ended = true;
  bool continue_due = false;  // the client waits for "100 Continue" before it sends the body

 private:
  enum class Next { request, closed, refused };

  task<Next> next_request();
  task<bool> answer(const Respond& respond);
  task<void> send(Response response);
  task<void> send_file(Response response, OpenFile file);
  task<void> refuse(int status, std::string text);
  task<void> skip_body();
  task<void> linger();
  void begin_head(int status, const http::Headers& headers);
  void end_head();
  void log(const Request& request) const;
  bool has_body(int status) const noexcept;
  std::optional<Duration> time_left(uvlet::Time deadline) const;

  std::string output_;
  std::uint64_t response_bytes_ = 0;  // of the body
  int response_status_ = 0;           // 0: nothing of it was sent
  bool chunked_ = false;
  bool close_after_ = false;
  bool idle_ = true;
  bool stopping_ = false;
};

}  // namespace aio::web::detail

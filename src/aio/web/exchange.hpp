#pragma once

// The server's side of one connection: requests in, responses out, one after the other.

#include "../http/connection.hpp"
#include "../http/parser.hpp"

#include <aio/web/request.hpp>
#include <aio/web/response.hpp>
#include <aio/web/runner.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace aio::web::detail {

struct Exchange;

// What makes the response to a request.
using Respond = std::function<task<Response>(Request&)>;

// The body of a StreamResponse.
struct Stream {
  int status;
  http::Headers headers;
  Exchange* exchange = nullptr;         // set by prepare()
  std::optional<std::uint64_t> length;  // that was promised, by then
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

// Another protocol that has taken over the connection. It ends when this is destroyed.
struct Upgrade {
  virtual ~Upgrade() = default;
  // The handler has ended, perhaps with an exception. Called once.
  virtual task<void> finish(std::exception_ptr error) = 0;
  // The server stops.
  virtual void stop() = 0;
};

struct Exchange {
  Exchange(std::shared_ptr<http::detail::Connection> bytes, Address peer, const ServerOptions& how);

  // Answers requests until the connection ends, and closes it.
  task<void> serve(Respond respond);
  // The server stops: what is idle ends at once, what is busy after its response.
  void stop();
  // Its green thread is being killed: what interrupts a handler from now on ends the connection.
  void cancel() noexcept { cancelled_ = true; }

  // --- for Request and the responses ---
  task<std::string> read_chunk();
  task<void> prepare(std::shared_ptr<Stream> stream);
  task<void> write(std::shared_ptr<Stream> stream, std::string_view data);
  task<void> write_eof(std::shared_ptr<Stream> stream);
  // Says 101 with these fields; what follows on the connection is for another protocol.
  task<void> switch_protocols(http::Headers headers);
  void hand_over(std::unique_ptr<Upgrade> upgrade);

  const std::shared_ptr<http::detail::Connection> shared;  // also with what takes over
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
  void check(const Response& response, const OpenFile& file) const;
  void begin_head(int status, const http::Headers& headers,
                  std::optional<std::uint64_t> length = {});
  void end_head();
  bool being_killed() const noexcept { return cancelled_ || uvlet::Hub::get().ending(); }
  void log(const Request& request) const;
  bool has_body(int status) const noexcept;
  std::optional<Duration> time_left(uvlet::Time deadline) const;

  std::string output_;
  std::uint64_t response_bytes_ = 0;  // of the body
  int response_status_ = 0;           // 0: nothing of it was sent
  std::shared_ptr<Stream> prepared_;  // by the handler
  bool chunked_ = false;
  bool close_after_ = false;
  bool idle_ = true;
  bool stopping_ = false;
  bool cancelled_ = false;
  std::unique_ptr<Upgrade> upgrade_;
};

}  // namespace aio::web::detail

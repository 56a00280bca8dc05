#include "exchange.hpp"

#include "../http/chunks.hpp"
#include "../http/text.hpp"

#include <aio/to_thread.hpp>
#include <uvlet/exceptions.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <system_error>
#include <unistd.h>

namespace aio::web::detail {
namespace {

using http::detail::Parser;
using http::detail::ProtocolError;

constexpr std::size_t skipped_bytes_max = 256 * 1024;  // of a body that nobody read
constexpr double linger_seconds = 2;
constexpr std::size_t file_piece_bytes = 64 * 1024;
constexpr std::size_t output_bytes_kept = 64 * 1024;

http::detail::Limits limits_of(const ServerOptions& options) {
  return {options.max_line_size, options.max_field_size, options.max_headers};
}

// How the bytes of a response are framed is the server's to say.
bool frames_body(std::string_view name) noexcept {
  return http::equal_ignoring_case(name, "Content-Length") ||
         http::equal_ignoring_case(name, "Transfer-Encoding");
}

Response internal_error() { return Response("500: Internal Server Error", 500); }

// Whether it is what a kill from elsewhere throws: the green thread goes on to its end then.
bool interrupts(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const uvlet::GreenletExit&) {
    return true;
  } catch (const uvlet::CancelledError&) {
    return true;
  } catch (...) {
    return false;
  }
}

void report(const std::exception_ptr& error) {
  const std::exception_ptr told =  // that a green thread was killed would be no news
      interrupts(error) ? std::make_exception_ptr(
                              std::runtime_error("a handler that threw " + uvlet::describe(error)))
                        : error;
  uvlet::report_exception(*uvlet::Hub::get().running(), told);
}

void check_final(int status) {
  if (status < 200) throw std::logic_error(std::to_string(status) + " is no final status");
}

Response response_of(const HTTPException& exception) {
  try {
    check_final(exception.status());
  } catch (const std::logic_error&) {
    report(std::current_exception());
    return internal_error();
  }
  Response response(exception.what(), exception.status());
  if (!exception.text().empty()) response.set_body(exception.text());
  for (const auto& [name, value] : exception.headers())
    if (!frames_body(name)) response.headers().add(name, value);
  return response;
}

// The length that a handler says the body has. Throws logic_error for what is none, and for a
// Transfer-Encoding: with either of them a client would not know where the body ends.
std::optional<std::uint64_t> stated_length(const http::Headers& headers) {
  if (const std::string* encoding = headers.find("Transfer-Encoding"))
    throw std::logic_error("a response whose handler set Transfer-Encoding: " + *encoding);
  const std::vector<std::string> lengths = headers.get_all("Content-Length");
  if (lengths.empty()) return std::nullopt;
  const std::string& text = lengths.front();
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (lengths.size() > 1 || error != std::errc() || end != text.data() + text.size())
    throw std::logic_error("a response whose Content-Length is no number: '" + text +
                           (lengths.size() > 1 ? "', '" + lengths[1] : "") + "'");
  return length;
}

bool is_timeout(const std::system_error& error) noexcept {
  return error.code().value() == ETIMEDOUT;
}

}  // namespace

Exchange::Exchange(std::shared_ptr<http::detail::Connection> bytes, Address peer,
                   const ServerOptions& how)
    : shared(std::move(bytes)),
      connection(*shared),
      parser(Parser::Of::requests, limits_of(how)),
      remote(std::move(peer)),
      options(how) {}

void Exchange::stop() {
  stopping_ = true;
  if (upgrade_) upgrade_->stop();
  // What was received already is a request, though it has not been looked at.
  if (idle_ && connection.unused().empty()) connection.descriptor.close();
}

std::optional<Duration> Exchange::time_left(uvlet::Time deadline) const {
  return Duration(std::chrono::nanoseconds(deadline - uvlet::Hub::get().now()));
}

task<void> Exchange::serve(Respond respond) {
  try {
    for (;;) {  // g++ 12 does not skip a co_await behind "&&"
      const Next next = co_await next_request();
      if (next != Next::request) break;
      const bool goes_on = co_await answer(respond);
      if (!goes_on) break;
    }
  } catch (const std::system_error&) {  // the client has gone, or is too slow
  }
  connection.descriptor.close();
}

task<Exchange::Next> Exchange::next_request() {
  uvlet::Time deadline = 0;
  std::string refusal;
  int status = 0;
  bool first = true;
  while (status == 0) {
    bool waits_too_long = false;
    try {
      std::string_view bytes = connection.unused();
      const Parser::Event event = parser.next(bytes);
      connection.keep(bytes.size());
      if (event == Parser::Event::head) {
        idle_ = false;
        co_return Next::request;
      }
      idle_ = !parser.inside_message();
      if (idle_ && stopping_) co_return Next::closed;
      if (first || (!idle_ && deadline == 0))
        deadline = uvlet::deadline_after(uvlet::Hub::get().now(), idle_ && response_status_ != 0
                                                                      ? options.keepalive_timeout
                                                                      : options.request_timeout);
      first = false;
      if (!co_await connection.fill(time_left(deadline))) co_return Next::closed;
      if (idle_) deadline = 0;
    } catch (const ProtocolError& error) {
      status = error.status;
      refusal = error.what();
    } catch (const std::system_error& error) {
      waits_too_long = is_timeout(error);
      if (!waits_too_long || idle_) co_return Next::closed;
    }
    if (waits_too_long) {
      status = 408;
      refusal = "the request took too long";
    }
  }
  co_await refuse(status, std::move(refusal));
  co_return Next::refused;
}

// False: the connection is of no more use.
task<bool> Exchange::answer(const Respond& respond) {
  const http::detail::Head& head = parser.head();
  response_status_ = 0;
  prepared_ = nullptr;
  response_bytes_ = 0;
  body_ended = !head.chunked && head.content_length.value_or(0) == 0;
  continue_due = head.expects_continue && !body_ended;
  close_after_ = !head.keep_alive;
  if (body_ended) {
    std::string_view bytes = connection.unused();
    parser.next(bytes);  // the end
    connection.keep(bytes.size());
  }
  Request request(*this);
  std::optional<Response> response;
  std::exception_ptr error;
  OpenFile file;
  try {
    response = co_await respond(request);
    if (response->file_) file = co_await open_file(*response->file_, request, *response);
    if (!upgrade_) check(*response, file);
  } catch (const HTTPException& exception) {
    response = response_of(exception);
    error = std::current_exception();
  } catch (...) {
    if (being_killed()) throw;
    error = std::current_exception();
    close_after_ = close_after_ || interrupts(error);
    if (!upgrade_) report(error);
    response = internal_error();
  }
  // What was begun is cut short: the client must notice.
  if (error && response_status_ != 0 && !upgrade_) co_return false;
  if (upgrade_) {
    co_await upgrade_->finish(std::move(error));
    if (options.access_log) log(request);
    co_return false;
  }
  if (response->stream_) {
    if (!response->stream_->exchange) co_await prepare(response->stream_);
    co_await write_eof(response->stream_);
  } else if (response->file_) {
    co_await send_file(std::move(*response), std::move(file));
  } else {
    co_await send(std::move(*response));
  }
  if (options.access_log) log(request);
  if (!close_after_ && !stopping_) {
    if (!body_ended) co_await skip_body();
    if (body_ended && !close_after_) co_return true;
  }
  if (!body_ended) co_await linger();
  co_return false;
}

// --- the request's body ------------------------------------------------------------------------

task<std::string> Exchange::read_chunk() {
  if (body_ended) co_return std::string();
  std::string problem;
  int status = 400;
  try {
    for (;;) {
      std::string_view bytes = connection.unused();
      const Parser::Event event = parser.next(bytes);
      std::string data(parser.data());
      connection.keep(bytes.size());
      if (event == Parser::Event::data) co_return data;
      if (event == Parser::Event::end) {
        body_ended = true;
        co_return std::string();
      }
      if (std::exchange(continue_due, false)) {
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await connection.send(go_on, options.request_timeout);
      }
      if (!co_await connection.fill(options.request_timeout)) {
        problem = "the body was cut short";
        break;
      }
    }
  } catch (const ProtocolError& error) {
    problem = error.what();
    status = error.status;
  } catch (const std::system_error& error) {
    if (!is_timeout(error)) throw;
    problem = "the body took too long";
    status = 408;
  }
  close_after_ = true;
  body_ended = true;  // nothing more can be read
  throw HTTPException(status, problem);
}

// What the handler left of it, so that the next request can be read, unless that is too much.
task<void> Exchange::skip_body() {
  if (continue_due || parser.head().content_length.value_or(0) > skipped_bytes_max) co_return;
  try {
    for (std::size_t skipped = 0; !body_ended && skipped <= skipped_bytes_max;) {
      const std::string data = co_await read_chunk();
      skipped += data.size();
    }
  } catch (const HTTPException&) {  // it closes the connection
  }
}

// Closing with bytes unread would make the system discard what the client has not read yet.
task<void> Exchange::linger() {
  connection.descriptor.shutdown(SHUT_WR);
  const uvlet::Time deadline =
      uvlet::deadline_after(uvlet::Hub::get().now(), Duration(linger_seconds));
  for (std::size_t skipped = 0; skipped <= skipped_bytes_max;) {
    if (!co_await connection.fill(time_left(deadline))) break;
    skipped += connection.unused().size();
    connection.keep(0);
  }
}

// --- the response ------------------------------------------------------------------------------

bool Exchange::has_body(int status) const noexcept {
  return parser.head().method != "HEAD" && status >= 200 && status != 204 && status != 304;
}

// Throws logic_error for what a handler may not answer.
void Exchange::check(const Response& response, const OpenFile& file) const {
  if (response.websocket_)
    throw std::logic_error("a handler returned a WebSocketResponse that it did not prepare");
  const Stream* stream = response.stream_.get();
  if (prepared_ && stream == prepared_.get()) return;
  if (prepared_) throw std::logic_error("a handler prepared one response and returned another");
  if (stream) {
    if (stream->exchange)
      throw std::logic_error("a handler returned the StreamResponse to another request");
    check_final(stream->status);
    stated_length(stream->headers);
    return;
  }
  check_final(response.status_);
  const std::optional<std::uint64_t> stated = stated_length(response.headers_);
  const std::uint64_t bytes = response.file_ ? file.bytes : response.body_.size();
  if (stated && has_body(response.status_) && *stated != bytes)
    throw std::logic_error("a response with Content-Length: " + std::to_string(*stated) +
                           " and a body of " + std::to_string(bytes) + " bytes");
}

// With this Content-Length, whatever the headers say; nullopt: none.
void Exchange::begin_head(int status, const http::Headers& headers,
                          std::optional<std::uint64_t> length) {
  if (output_.capacity() > output_bytes_kept) std::string().swap(output_);
  response_status_ = status;
  char line[32];
  const int size = std::snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
  output_.assign(line, static_cast<std::size_t>(size));
  output_ += http::detail::reason_of(status);
  output_ += "\r\n";
  for (const auto& [name, value] : headers) {
    if (frames_body(name)) continue;
    http::detail::append_field(output_, name, value);
    if (http::equal_ignoring_case(name, "Connection") && http::equal_ignoring_case(value, "close"))
      close_after_ = true;
  }
  if (!headers.contains("Date"))
    http::detail::append_field(output_, "Date", http::detail::date_now());
  if (!headers.contains("Server")) output_ += "Server: uvlet\r\n";
  if (length && status >= 200 && status != 204)
    output_ += "Content-Length: " + std::to_string(*length) + "\r\n";
}

void Exchange::end_head() {
  if (stopping_ || continue_due) close_after_ = true;
  const http::detail::Head& head = parser.head();
  if (close_after_)
    output_ += "Connection: close\r\n";
  else if (head.minor == 0)
    output_ += "Connection: keep-alive\r\n";
  output_ += "\r\n";
}

task<void> Exchange::send(Response response) {
  const std::string& body = response.body_;
  const bool carries = has_body(response.status_);
  std::optional<std::uint64_t> length = stated_length(response.headers_);
  if (!length && response.status_ != 304) length = body.size();
  begin_head(response.status_, response.headers_, length);
  end_head();
  if (!carries || body.size() <= http::detail::joined_bytes_max) {
    if (carries) output_ += body;
    co_await connection.send(output_, options.request_timeout);
  } else {
    co_await connection.send(output_, options.request_timeout);
    co_await connection.send(body, options.request_timeout);
  }
  response_bytes_ = carries ? body.size() : 0;
}

task<void> Exchange::send_file(Response response, OpenFile file) {
  begin_head(response.status_, response.headers_, stated_length(response.headers_));
  end_head();
  co_await connection.send(output_, options.request_timeout);
  if (!has_body(response.status_)) co_return;
  response_bytes_ = file.bytes;
  if (!connection.descriptor.transport()) {
    http::detail::SendFile sending(connection, file.fd, file.first, file.bytes,
                                   options.request_timeout);
    co_await std::move(sending);
    co_return;
  }
  while (file.bytes > 0) {
    auto read = [fd = file.fd, at = file.first, most = file.bytes] {
      std::string data(std::min<std::uint64_t>(most, file_piece_bytes), '\0');
      const ssize_t got = ::pread(fd, data.data(), data.size(), static_cast<off_t>(at));
      data.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      return data;
    };
    const std::string data = co_await to_thread(std::move(read));
    if (data.empty()) throw std::system_error(EIO, std::generic_category(), "a file that shrinks");
    co_await connection.send(data, options.request_timeout);
    file.first += data.size();
    file.bytes -= data.size();
  }
}

task<void> Exchange::prepare(std::shared_ptr<Stream> stream) {
  if (stream->exchange) throw std::logic_error("a StreamResponse that was prepared before");
  if (response_status_ != 0) throw std::logic_error("a second response to one request");
  check_final(stream->status);
  stream->length = stated_length(stream->headers);
  stream->exchange = this;
  prepared_ = stream;
  begin_head(stream->status, stream->headers, stream->length);
  chunked_ = false;
  if (has_body(stream->status) && !stream->length) {
    chunked_ = parser.head().minor == 1;
    if (chunked_)
      output_ += "Transfer-Encoding: chunked\r\n";
    else
      close_after_ = true;
  }
  end_head();
  co_await connection.send(output_, options.request_timeout);
}

task<void> Exchange::write(std::shared_ptr<Stream> stream, std::string_view data) {
  if (stream->ended) throw std::logic_error("write to a StreamResponse after write_eof");
  if (data.empty() || !has_body(stream->status)) co_return;
  if (stream->length && data.size() > *stream->length - stream->sent)
    throw std::invalid_argument("a StreamResponse of more than its Content-Length: " +
                                std::to_string(*stream->length));
  stream->sent += data.size();
  response_bytes_ += data.size();
  if (!chunked_) {
    co_await connection.send(data, options.request_timeout);
    co_return;
  }
  co_await http::detail::send_chunk(connection, output_, data, options.request_timeout);
}

task<void> Exchange::write_eof(std::shared_ptr<Stream> stream) {
  if (std::exchange(stream->ended, true)) co_return;
  if (chunked_) {
    co_await connection.send(http::detail::last_chunk, options.request_timeout);
  } else if (stream->length && has_body(stream->status) && stream->sent != *stream->length) {
    close_after_ = true;  // shorter than was promised: the client must notice
  }
}

task<void> Exchange::switch_protocols(http::Headers headers) {
  if (response_status_ != 0) throw std::logic_error("a second response to one request");
  if (stopping_) throw HTTPException(503);
  begin_head(101, headers);
  output_ += "\r\n";
  co_await connection.send(output_, options.request_timeout);
}

void Exchange::hand_over(std::unique_ptr<Upgrade> upgrade) {
  upgrade_ = std::move(upgrade);
  if (stopping_) upgrade_->stop();
}

task<void> Exchange::refuse(int status, std::string text) {
  parser.head().clear();
  parser.head().method = "GET";  // that the text is sent
  close_after_ = true;
  Response response(std::to_string(status) + ": " + text + "\n", status);
  co_await send(std::move(response));
  co_await linger();
}

void Exchange::log(const Request& request) const {
  const std::string line =
      remote.host() + " - - [" + http::detail::format_log_date(std::time(nullptr)) + "] \"" +
      request.method() + " " + request.target() + " HTTP/1." + std::to_string(parser.head().minor) +
      "\" " + std::to_string(response_status_) + " " + std::to_string(response_bytes_) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace aio::web::detail

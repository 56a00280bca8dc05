#include "client_exchange.hpp"

#include "chunks.hpp"

#include <aio/exceptions.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace aio::http::detail {
namespace {

constexpr std::size_t piece_bytes =
    256 * 1024;  // of a body, between two looks at whether it gets on
constexpr std::size_t skipped_bytes_max = 64 * 1024;
constexpr double continue_seconds = 1;  // then the body is sent anyway: RFC 9110, 10.1.1

}  // namespace

std::string text_of(Duration length) {
  char text[32];
  const int size = std::snprintf(text, sizeof text, "%g s", length.seconds());
  return {text, static_cast<std::size_t>(size)};
}

ClientExchange::ClientExchange(Lease lease, std::shared_ptr<const ClientRequest> request,
                               const ExchangeLimits& limits)
    : url(request->url.str()),
      request_(std::move(request)),
      limits_(limits),
      lease_(std::move(lease)),
      reused_(lease_->reused) {}

ClientExchange::~ClientExchange() = default;

task<void> ClientExchange::begin(std::shared_ptr<ClientExchange> self, std::string head) {
  try {
    co_await self->send(std::move(head));
    co_await self->read_head();
    self->pump();
  } catch (...) {
    self->close();
    throw;
  }
}

// --- the request -------------------------------------------------------------------------------

task<void> ClientExchange::send(std::string head) {
  output_ = std::move(head);
  const bool joined = !request_->produce && request_->body.size() <= joined_bytes_max &&
                      !request_->expects_continue;
  if (joined) output_ += request_->body;
  try {
    co_await lease_->bytes.send(output_, limits_.pause);
  } catch (const std::system_error& error) {  // there may be a response nevertheless
    if (error.code().value() == ETIMEDOUT) fail_timeout();
    send_error_ = error.what();
    co_return;
  }
  if (joined || !request_->has_body()) co_return;
  sending_ = true;
  sending_task_ = sender_.create_task(send_body(Inside(*this)), "the body of " + name());
}

// In a task of its own. What goes wrong is for who reads the response.
task<void> ClientExchange::send_body(Inside) {
  try {
    if (request_->expects_continue) co_await await_continue();
    if (request_->produce)
      co_await send_produced();
    else
      co_await send_pieces(request_->body);
    sending_ = false;
  } catch (const std::system_error& error) {
    send_error_ = error.what();
  }
}

task<void> ClientExchange::send_pieces(std::string_view data) {
  while (!data.empty()) {
    const std::string_view piece = data.substr(0, piece_bytes);
    co_await lease_->bytes.send(piece, std::nullopt);
    sent_ += piece.size();
    data.remove_prefix(piece.size());
  }
}

task<void> ClientExchange::send_produced() {
  std::uint64_t left = request_->length.value_or(0);
  for (;;) {
    std::string piece;
    try {
      piece = co_await request_->produce();
      if (request_->length && (piece.empty() ? left > 0 : piece.size() > left))
        throw std::invalid_argument("a body that is not of its Content-Length, " +
                                    std::to_string(*request_->length));
    } catch (...) {
      body_error_ = std::current_exception();
    }
    if (body_error_) {
      lease_->bytes.descriptor.close();  // wakes who reads
      co_return;
    }
    if (piece.empty()) break;
    left -= std::min<std::uint64_t>(left, piece.size());
    if (request_->length)
      co_await send_pieces(piece);
    else
      co_await send_chunk(lease_->bytes, output_, piece, std::nullopt);
    sent_ += piece.size();
  }
  if (!request_->length) co_await lease_->bytes.send(last_chunk, std::nullopt);
}

task<void> ClientExchange::await_continue() {
  const uvlet::Deadline patience(changed_, continue_seconds);
  while (!go_on_ && !patience.passed()) co_await changed_.wait();
}

// --- the response's head -----------------------------------------------------------------------

task<void> ClientExchange::read_head() {
  for (;;) {
    Parser::Event event = Parser::Event::more;
    try {
      if (request_->method == "HEAD") lease_->parser.expect_no_body();
      std::string_view input = lease_->bytes.unused();
      event = lease_->parser.next(input);
      lease_->bytes.keep(input.size());
    } catch (const ProtocolError& error) {
      throw ClientResponseError(400,
                                name() + ": what came is no response of HTTP/1: " + error.what());
    }
    const int code = lease_->parser.head().status;
    if (event == Parser::Event::head && (code >= 200 || code == 101)) break;
    if (event == Parser::Event::head && code == 100) {
      go_on_ = true;
      changed_.notify_all();
    }
    if (event != Parser::Event::more) continue;
    const bool open = co_await fill();
    if (!open) fail_cut_short("the server has closed the connection");
  }
  take_head();
}

void ClientExchange::take_head() {
  Head& head = lease_->parser.head();
  status = head.status;
  reason = head.reason;
  headers = std::move(head.headers);
  has_head_ = true;
  if (status == 101) {
    if (!request_->upgrades)
      throw ClientResponseError(101, name() + ": the server changes the protocol unasked");
    ended_ = true;
    return;
  }
  if (const std::string* coding = headers.find("Content-Encoding"); coding && can_decode(*coding))
    decoder_.emplace(*coding);
}

// --- its body ----------------------------------------------------------------------------------

// Takes out of the input what has come of it.
void ClientExchange::pump() {
  if (ended_ || !open()) return;
  try {
    for (;;) {
      std::string_view input = lease_->bytes.unused();
      const Parser::Event event = lease_->parser.next(input);
      raw_ += lease_->parser.data();
      if (event == Parser::Event::data) body_bytes_ += lease_->parser.data().size();
      lease_->bytes.keep(input.size());
      if (event == Parser::Event::end) return end_body();
      if (event == Parser::Event::more) return;
    }
  } catch (const ProtocolError& error) {
    fail_body(std::string("the body breaks the protocol: ") + error.what());
  }
}

// For who reads, once what came before is read.
void ClientExchange::fail_body(const std::string& why) {
  body_failure_ = std::make_exception_ptr(ClientPayloadError(name() + ": " + why));
  close();
}

// The connection serves the next request, if it can.
void ClientExchange::end_body() {
  ended_ = true;
  if (lease_->parser.head().keep_alive && !sending_ && inside_ == 0 && send_error_.empty() &&
      lease_->bytes.unused().empty() && !request_->closes)
    lease_.give_back();
  else
    release();
}

task<std::string> ClientExchange::read_chunk(std::shared_ptr<ClientExchange> self) {
  for (;;) {
    std::string data = self->decode();
    if (!data.empty()) co_return data;
    if (self->body_failure_) std::rethrow_exception(self->body_failure_);
    if (self->ended_) co_return std::string();
    if (!self->open())
      throw ClientError(self->name() +
                        ": the response was released, or has failed, before its end");
    const bool open = co_await self->fill();
    if (open) {
      self->pump();
      continue;
    }
    if (!self->open() || !self->lease_->parser.finish())
      self->fail_cut_short("the connection ended");
    self->ended_ = true;
    self->release();
  }
}

// What can be had of raw_; "": nothing.
std::string ClientExchange::decode() {
  if (status == 101) return {};
  std::string data;
  try {
    if (!decoder_) {
      data = used_ == 0 ? std::move(raw_) : raw_.substr(used_);
      raw_.clear();
      used_ = 0;
      return data;
    }
    std::string_view input = std::string_view(raw_).substr(used_);
    data = decoder_->decode(input);
    used_ = raw_.size() - input.size();
    if (data.empty() && ended_) decoder_->finish();
  } catch (const ClientPayloadError& error) {
    fail_body(error.what());
    decoder_.reset();
    used_ = raw_.size();
  }
  if (used_ == raw_.size()) {
    raw_.clear();
    used_ = 0;
  }
  return data;
}

task<std::string> ClientExchange::read(std::shared_ptr<ClientExchange> self) {
  while (!self->whole_) {
    std::string data = co_await read_chunk(self);
    self->whole_ = data.empty();
    self->body_ = self->body_.empty() ? std::move(data) : std::move(self->body_) + data;
  }
  co_return self->body_;
}

task<void> ClientExchange::skip(std::shared_ptr<ClientExchange> self) {
  try {
    while (!self->ended_ && self->open() && self->body_bytes_ <= skipped_bytes_max) {
      self->raw_.clear();
      const bool open = co_await self->fill();
      if (!open) break;
      self->pump();
    }
  } catch (const ClientError&) {  // nobody asks for this body
  }
  self->release();
}

void ClientExchange::release() noexcept {
  if (status != 101) close();
}

void ClientExchange::close() noexcept {
  if (!open()) return;
  closed_ = true;
  if (inside_ == 0) {
    lease_.close();
    return;
  }
  lease_->bytes.descriptor.close();
  if (sending_task_ && !sending_task_->done()) sending_task_->cancel();
}

Lease ClientExchange::take_connection() {
  if (status != 101 || !open())
    throw std::logic_error(name() + ": a response of " + std::to_string(status) +
                           " has no connection to give away");
  return std::move(lease_);
}

// --- waiting, and what goes wrong ----------------------------------------------------------------

std::optional<Duration> ClientExchange::limit() const {
  if (limits_.deadline == uvlet::never) return limits_.pause;
  const uvlet::Time now = uvlet::Hub::get().now();
  const Duration left(std::chrono::nanoseconds(std::max<uvlet::Time>(limits_.deadline - now, 1)));
  return limits_.pause ? std::min(*limits_.pause, left) : left;
}

bool ClientExchange::late() const noexcept { return uvlet::Hub::get().now() >= limits_.deadline; }

// More bytes of the server's; false at their end. While the request is still being sent, a pause is
// one of that too.
task<bool> ClientExchange::fill() {
  const Inside inside(*this);
  for (;;) {
    const std::uint64_t sent = sent_;
    bool timed_out = false;
    try {
      const bool open = co_await lease_->bytes.fill(limit());
      if (body_error_) fail(body_error_);
      received_ = received_ || open;
      co_return open;
    } catch (const std::system_error& error) {
      if (body_error_) fail(body_error_);
      timed_out = error.code().value() == ETIMEDOUT;
      if (!timed_out) fail_cut_short(error.what());
    }
    if (late() || !sending_ || sent_ == sent) fail_timeout();
  }
}

std::string ClientExchange::name() const { return request_->method + " " + url; }

void ClientExchange::fail(std::exception_ptr error) {
  close();
  std::rethrow_exception(std::move(error));
}

void ClientExchange::fail_timeout() {
  close();
  const bool in_all = late() || !limits_.pause;
  const Duration length = in_all ? limits_.total.value_or(0) : *limits_.pause;
  throw TimeoutError(name() + (in_all ? ": not done within " : ": nothing came for ") +
                     text_of(length));
}

void ClientExchange::fail_cut_short(const std::string& why) {
  std::string what = name() + ": " + why;
  if (!send_error_.empty()) what += " (" + send_error_ + ")";
  std::optional<std::uint64_t> length;
  if (open() && has_head_) length = lease_->parser.head().content_length;
  close();
  if (!has_head_) throw ServerDisconnectedError(what + " before the head of a response");
  what += " before the body's end, after " + std::to_string(body_bytes_) + " bytes";
  if (length) what += " of " + std::to_string(*length);
  throw ClientPayloadError(what);
}

}  // namespace aio::http::detail

#pragma once

// The client's side of one request and its response.

#include "client_request.hpp"
#include "content_decoder.hpp"
#include "pool.hpp"

#include <aio/http/errors.hpp>
#include <aio/task_group.hpp>
#include <uvlet/signal.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace aio::http::detail {

// "0.5 s"
std::string text_of(Duration length);

// How long it may take.
struct ExchangeLimits {
  std::optional<Duration> pause;  // of the server's
  uvlet::Time deadline = uvlet::never;
  std::optional<Duration> total;  // what the deadline was made of, to be told
};

// Destroying it ends the sending, and closes the connection unless the response has ended.
class ClientExchange {
 public:
  // `request` stays as it is while this lives.
  ClientExchange(Lease lease, std::shared_ptr<const ClientRequest> request,
                 const ExchangeLimits& limits);
  ~ClientExchange();

  // Sends the request whose head that is, in the background what does not go out at once, and reads
  // the response's head.
  static task<void> begin(std::shared_ptr<ClientExchange> self, std::string head);
  // See ClientResponse.
  static task<std::string> read_chunk(std::shared_ptr<ClientExchange> self);
  static task<std::string> read(std::shared_ptr<ClientExchange> self);
  void release() noexcept;
  // Reads to the end what is short, so that the connection can be kept, and closes it else.
  static task<void> skip(std::shared_ptr<ClientExchange> self);

  // After begin() has failed: the connection had been idle, and nothing of a response came.
  bool was_stale() const noexcept { return reused_ && !received_; }
  // begin() has succeeded.
  bool has_begun() const noexcept { return has_head_; }
  // After a response of 101: the connection, with what came after the head unused. Closed at once
  // if that is dropped. Throws logic_error for any other response.
  Lease take_connection();

  int status = 0;
  std::string reason;
  Headers headers;
  std::string url;

 private:
  // Somebody who uses the connection, and may wait for it.
  class Inside {
   public:
    explicit Inside(ClientExchange& exchange) noexcept : exchange_(&exchange) {
      ++exchange.inside_;
    }
    Inside(Inside&& other) noexcept : exchange_(std::exchange(other.exchange_, nullptr)) {}
    ~Inside() {
      if (exchange_ && --exchange_->inside_ == 0 && exchange_->closed_) exchange_->lease_.close();
    }

   private:
    ClientExchange* exchange_;
  };

  task<void> send(std::string head);
  task<void> send_body(Inside inside);
  task<void> send_produced();
  task<void> send_pieces(std::string_view data);
  task<void> await_continue();
  task<void> read_head();
  task<bool> fill();
  void take_head();
  void pump();
  void end_body();
  void close() noexcept;
  bool open() const noexcept { return lease_ && !closed_; }
  std::string decode();
  std::optional<Duration> limit() const;
  bool late() const noexcept;
  std::string name() const;
  void fail_body(const std::string& why);
  [[noreturn]] void fail(std::exception_ptr error);
  [[noreturn]] void fail_timeout();
  [[noreturn]] void fail_cut_short(const std::string& why);

  const std::shared_ptr<const ClientRequest> request_;
  const ExchangeLimits limits_;
  Lease lease_;  // empty once the response has ended, or the connection is closed and left
  int inside_ = 0;
  bool closed_ = false;  // the connection; the lease goes with the last one inside
  const bool reused_;
  bool received_ = false;  // a byte of a response
  bool has_head_ = false;
  bool ended_ = false;      // all of the body is in raw_
  bool sending_ = false;    // in the background
  bool go_on_ = false;      // the server waits for the body
  std::uint64_t sent_ = 0;  // bytes of the body, to see whether that gets on
  std::uint64_t body_bytes_ = 0;
  std::exception_ptr body_error_;    // what producing the body threw
  std::exception_ptr body_failure_;  // what is wrong with the response's body, behind raw_
  std::string send_error_;           // why not all of the request was sent
  std::string output_;
  std::string raw_;       // of the response's body, still coded
  std::size_t used_ = 0;  // of raw_
  std::optional<ContentDecoder> decoder_;
  std::string body_;    // for read()
  bool whole_ = false;  // body_ is all of it
  uvlet::Signal changed_{"100 Continue"};
  std::optional<Future<void>> sending_task_;
  TaskGroup sender_;  // goes first: it uses all of the above
};

}  // namespace aio::http::detail

#pragma once

// Bytes into messages: llhttp behind a small interface, with the rules that it does not keep.

#include <aio/http/headers.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace aio::http::detail {

// The peer does not keep to the protocol, or to a limit; `status` is what a server answers.
struct UVLET_API ProtocolError : std::runtime_error {
  ProtocolError(int answer, const std::string& what) : std::runtime_error(what), status(answer) {}
  int status;
};

// Bytes, and how many fields a message may have.
struct Limits {
  std::size_t line = 8190;
  std::size_t field = 8190;
  std::size_t fields = 100;
};

// What stands before the body.
struct Head {
  std::string method;
  std::string target;
  int status = 0;
  std::string reason;
  int minor = 1;  // of HTTP/1
  Headers headers;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;  // as far as this side is concerned
  bool upgrade = false;    // another protocol is asked for, or begins
  bool expects_continue = false;

  void clear() noexcept;
};

// Whether a server takes it for a method: a token without small letters, which no method in use has
// and "get" is more likely a mistake than a method of its own.
bool is_method(std::string_view text) noexcept;

// Cuts one direction of a connection into events. Pure: it sees bytes and does no I/O, and how they
// are cut changes nothing. A head is looked at when all of it is there, so that its bytes lie
// together. Strict: what two parsers could read in two ways is an error (RFC 9112, 11).
class UVLET_API Parser {
 public:
  enum class Of { requests, responses };
  enum class Event {
    more,  // all that could be used was
    head,  // head() is complete
    data,  // data() are the next bytes of the body, until `input` goes
    end,   // the message is complete
  };

  explicit Parser(Of of, const Limits& limits = Limits());
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Goes on to the next event. `input` begins with what was not consumed before; what is consumed
  // is taken off its front. Throws ProtocolError, and then is of no use any more.
  Event next(std::string_view& input);
  // The stream has ended after `input` was used up: true if that ends the message, or none had
  // begun; false if it is cut short.
  bool finish();

  // For the next response: that to HEAD has no body, whatever its head says.
  void expect_no_body() noexcept { no_body_ = true; }

  const Head& head() const noexcept { return head_; }
  Head& head() noexcept { return head_; }
  std::string_view data() const noexcept { return data_; }
  // The body of a response that ends with the stream.
  bool needs_end_of_stream() const noexcept;
  // Whether anything of a message has come since the last one's end.
  bool inside_message() const noexcept { return in_body_ || begun_; }

 private:
  struct Llhttp;

  std::size_t find_head_end(std::string_view input);
  void check_line(std::string_view line);
  void check_length(std::size_t bytes) const;
  void parse_head(std::string_view bytes);
  Event parse_body(std::string_view& input);
  void execute_head(std::string_view bytes);
  void check_head();
  void check_transfer_encoding();
  void check_request();
  [[noreturn]] void fail_too_long() const;

  const Of of_;
  const Limits limits_;
  std::unique_ptr<Llhttp> llhttp_;
  Head head_;
  std::string_view data_;
  std::string_view field_;  // the one being read
  std::string_view value_;
  std::size_t line_start_ = 0;
  std::size_t scanned_ = 0;
  std::size_t lines_ = 0;
  std::size_t overhead_ =
      0;  // bytes of a chunked body that are not of its data, since the last one
  bool begun_ = false;
  bool in_body_ = false;
  bool no_body_ = false;
  bool head_done_ = false;
  bool message_done_ = false;
};

}  // namespace aio::http::detail

#include "parser.hpp"

#include "text.hpp"

#include <algorithm>
#include <cstring>
#include <llhttp/llhttp.h>

namespace aio::http::detail {
namespace {

constexpr int bad_request = 400;
constexpr int uri_too_long = 414;
constexpr int expectation_failed = 417;
constexpr int fields_too_large = 431;
constexpr int version_not_supported = 505;
constexpr std::size_t empty_lines_max = 4;  // before a request: RFC 9112, 2.2
constexpr std::size_t chunk_overhead_max = 16 * 1024;

bool only_digits(std::string_view text) noexcept {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_visible(char c) noexcept { return c > ' ' && c < 0x7f; }

bool is_host(std::string_view host) noexcept {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return is_visible(c) && std::string_view("/?#@\\,<>\"^`{|}").find(c) == std::string_view::npos;
  });
}

// RFC 9112, 6.3. llhttp would read the body that a Content-Length promises.
bool never_has_body(const llhttp_t& state) noexcept {
  return state.type == HTTP_RESPONSE &&
         (state.status_code == 204 || state.status_code == 304 ||
          (state.status_code >= 100 && state.status_code < 200 && state.status_code != 101));
}

// Those that llhttp reads in HTTP; it refuses all others, which a server may have a route for.
bool llhttp_knows(std::string_view method) noexcept {
  static constexpr std::string_view known[] = {
#define UVLET_METHOD(number, name, text) #text,
      HTTP_METHOD_MAP(UVLET_METHOD)
#undef UVLET_METHOD
  };
  return std::find(std::begin(known), std::end(known), method) != std::end(known);
}

}  // namespace

bool is_method(std::string_view text) noexcept {
  return is_token(text) &&
         std::none_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

void Head::clear() noexcept {
  method.clear();
  target.clear();
  status = 0;
  reason.clear();
  minor = 1;
  headers.clear();
  content_length.reset();
  chunked = upgrade = expects_continue = false;
  keep_alive = true;
}

// llhttp's state, and what it calls.
struct Parser::Llhttp {
  explicit Llhttp(Parser& owner, Of of) {
    llhttp_settings_init(&settings);
    settings.on_url = [](llhttp_t* from, const char* at, std::size_t size) {
      parser(from).head_.target.assign(at, size);
      return 0;
    };
    settings.on_status = [](llhttp_t* from, const char* at, std::size_t size) {
      parser(from).head_.reason.assign(at, size);
      return 0;
    };
    settings.on_header_field = [](llhttp_t* from, const char* at, std::size_t size) {
      parser(from).field_ = {at, size};
      return 0;
    };
    settings.on_header_value = [](llhttp_t* from, const char* at, std::size_t size) {
      Parser& self = parser(from);
      if (!self.head_done_) self.value_ = {at, size};
      return 0;
    };
    settings.on_header_value_complete = [](llhttp_t* from) {
      Parser& self = parser(from);
      if (!self.head_done_) self.head_.headers.add_checked(self.field_, trimmed(self.value_));
      self.value_ = {};
      return 0;
    };
    settings.on_headers_complete = [](llhttp_t* from) -> int {
      Parser& self = parser(from);
      self.head_done_ = true;
      return self.no_body_ || never_has_body(*from) ? 1 : static_cast<int>(HPE_PAUSED);
    };
    settings.on_body = [](llhttp_t* from, const char* at, std::size_t size) -> int {
      parser(from).data_ = {at, size};
      return HPE_PAUSED;
    };
    settings.on_message_complete = [](llhttp_t* from) -> int {
      parser(from).message_done_ = true;
      return HPE_PAUSED;
    };
    llhttp_init(&state, of == Of::requests ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    state.data = &owner;
  }

  static Parser& parser(llhttp_t* from) { return *static_cast<Parser*>(from->data); }

  // Takes what it uses off the front.
  void execute(std::string_view& input) {
    const llhttp_errno_t error = llhttp_execute(&state, input.data(), input.size());
    switch (error) {
      case HPE_OK: input.remove_prefix(input.size()); return;
      case HPE_PAUSED:
        input.remove_prefix(static_cast<std::size_t>(llhttp_get_error_pos(&state) - input.data()));
        llhttp_resume(&state);
        return;
      case HPE_PAUSED_UPGRADE:
        input.remove_prefix(static_cast<std::size_t>(llhttp_get_error_pos(&state) - input.data()));
        llhttp_resume_after_upgrade(&state);  // nobody took the last request up on it
        return execute(input);
      default: break;
    }
    const char* reason = llhttp_get_error_reason(&state);
    throw ProtocolError(error == HPE_INVALID_VERSION ? version_not_supported : bad_request,
                        reason && *reason ? reason : llhttp_errno_name(error));
  }

  llhttp_t state;
  llhttp_settings_t settings;
};

Parser::Parser(Of of, const Limits& limits)
    : of_(of), limits_(limits), llhttp_(std::make_unique<Llhttp>(*this, of)) {}

Parser::~Parser() = default;

Parser::Event Parser::next(std::string_view& input) {
  if (in_body_) return parse_body(input);
  const std::size_t bytes = find_head_end(input);
  if (bytes == 0) return Event::more;
  parse_head(input.substr(0, bytes));
  input.remove_prefix(bytes);
  in_body_ = true;
  return Event::head;
}

// --- the head ----------------------------------------------------------------------------------

// Its bytes with the empty line; 0: that has not come yet.
std::size_t Parser::find_head_end(std::string_view input) {
  begun_ = begun_ || !input.empty();
  for (;;) {
    const void* found = std::memchr(input.data() + scanned_, '\n', input.size() - scanned_);
    if (!found) {
      scanned_ = input.size();
      check_length(input.size() - line_start_);
      return 0;
    }
    const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
    check_length(end - line_start_);
    if (end == line_start_ || input[end - 1] != '\r')
      throw ProtocolError(bad_request, "a line that does not end in CRLF");
    const std::string_view line = input.substr(line_start_, end - 1 - line_start_);
    line_start_ = scanned_ = end + 1;
    if (!line.empty()) {
      check_line(line);
    } else if (lines_ > 0) {
      return end + 1;
    } else if (end + 1 > 2 * empty_lines_max) {
      throw ProtocolError(bad_request, "empty lines before the first line");
    }
  }
}

void Parser::fail_too_long() const {
  if (lines_ == 0)
    throw ProtocolError(of_ == Of::requests ? uri_too_long : bad_request,
                        "the first line is longer than " + std::to_string(limits_.line) + " bytes");
  throw ProtocolError(fields_too_large,
                      "a header is longer than " + std::to_string(limits_.field) + " bytes");
}

// Of a line without its LF, which has come or not.
void Parser::check_length(std::size_t bytes) const {
  if (bytes > (lines_ == 0 ? limits_.line : limits_.field) + 1) fail_too_long();  // 1: a CR
}

void Parser::check_line(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t' || line.front() == '\r')
    throw ProtocolError(bad_request, "a line that begins with a blank or a CR");
  if (line.front() == ':') throw ProtocolError(bad_request, "a header without a name");
  if (lines_ == 0 && of_ == Of::requests && std::count(line.begin(), line.end(), ' ') != 2)
    throw ProtocolError(bad_request, "a first line that is not three words");
  if (lines_ > limits_.fields)
    throw ProtocolError(fields_too_large,
                        "more than " + std::to_string(limits_.fields) + " headers");
  ++lines_;
}

void Parser::parse_head(std::string_view bytes) {
  while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  line_start_ = scanned_ = lines_ = overhead_ = 0;
  head_done_ = message_done_ = false;
  data_ = {};
  head_.clear();
  execute_head(bytes);
  if (!head_done_) throw ProtocolError(bad_request, "an incomplete head");
  check_head();
}

// llhttp gets POST for a method that it does not know: what follows is read in the same way.
void Parser::execute_head(std::string_view bytes) {
  const std::string_view method = bytes.substr(0, bytes.find(' '));
  if (of_ == Of::responses || llhttp_knows(method) || !is_method(method) || method == "PRI") {
    llhttp_->execute(bytes);
    if (of_ == Of::requests)
      head_.method = llhttp_method_name(static_cast<llhttp_method_t>(llhttp_->state.method));
    return;
  }
  const std::string readable = "POST" + std::string(bytes.substr(method.size()));
  std::string_view input = readable;
  llhttp_->execute(input);
  head_.method = method;
}

void Parser::check_head() {
  const llhttp_t& state = llhttp_->state;
  if (state.http_major != 1 || state.http_minor > 1)
    throw ProtocolError(version_not_supported, "neither HTTP/1.0 nor HTTP/1.1");
  head_.minor = state.http_minor;
  head_.status = of_ == Of::responses ? state.status_code : 0;
  head_.keep_alive = llhttp_should_keep_alive(&state) != 0;
  head_.upgrade = state.upgrade != 0;
  if (const std::string* length = head_.headers.find("Content-Length")) {
    if (!only_digits(*length))
      throw ProtocolError(bad_request, "Content-Length is no number: '" + *length + "'");
    std::uint64_t value = 0;
    for (const char digit : *length) value = value * 10 + static_cast<std::uint64_t>(digit - '0');
    head_.content_length = value;  // llhttp has refused what does not fit, and a second one
  }
  check_transfer_encoding();
  if (of_ == Of::requests) return check_request();
  if (head_.status < 100 || head_.status > 999)
    throw ProtocolError(bad_request, "no status: " + std::to_string(head_.status));
}

void Parser::check_transfer_encoding() {
  const std::string* encoding = head_.headers.find("Transfer-Encoding");
  if (!encoding) return;
  if (head_.minor == 0) throw ProtocolError(bad_request, "Transfer-Encoding in HTTP/1.0");
  if (head_.content_length)
    throw ProtocolError(bad_request, "both Transfer-Encoding and Content-Length");
  if (!equal_ignoring_case(*encoding, "chunked") ||
      head_.headers.get_all("Transfer-Encoding").size() != 1)
    throw ProtocolError(bad_request, "a Transfer-Encoding other than chunked: '" + *encoding + "'");
  head_.chunked = true;
}

void Parser::check_request() {
  const std::string& target = head_.target;
  if (!std::all_of(target.begin(), target.end(), is_visible))
    throw ProtocolError(bad_request, "a byte in the request target that may not stand there");
  if (target.find('#') != std::string::npos)
    throw ProtocolError(bad_request, "a request target with a fragment: '" + target + "'");
  const bool connects = head_.method == "CONNECT";
  const bool absolute = target.starts_with("http://") || target.starts_with("https://");
  const bool asterisk = target == "*" && head_.method == "OPTIONS";
  if (connects ? target.find('/') != std::string::npos
               : target.front() != '/' && !absolute && !asterisk)
    throw ProtocolError(bad_request, "a request target that is no path: '" + target + "'");
  const std::size_t hosts = head_.headers.get_all("Host").size();
  if (hosts > 1 || (hosts == 0 && head_.minor == 1))
    throw ProtocolError(bad_request, hosts == 0 ? "no Host" : "more than one Host");
  if (hosts == 1 && !is_host(*head_.headers.find("Host")))
    throw ProtocolError(bad_request, "no host name: '" + *head_.headers.find("Host") + "'");
  if (const std::string* expects = head_.headers.find("Expect")) {
    if (!equal_ignoring_case(*expects, "100-continue"))
      throw ProtocolError(expectation_failed, "an unknown expectation: '" + *expects + "'");
    head_.expects_continue = head_.minor == 1;
  }
}

// --- the body ----------------------------------------------------------------------------------

Parser::Event Parser::parse_body(std::string_view& input) {
  data_ = {};
  const std::size_t before = input.size();
  if (!message_done_) llhttp_->execute(input);
  if (!data_.empty()) {
    overhead_ = 0;
    return Event::data;
  }
  if (message_done_) {
    in_body_ = begun_ = no_body_ = false;
    return Event::end;
  }
  overhead_ += before - input.size();
  if (overhead_ > chunk_overhead_max)
    throw ProtocolError(bad_request, "too much between the chunks of a body");
  return Event::more;
}

bool Parser::needs_end_of_stream() const noexcept {
  return in_body_ && llhttp_message_needs_eof(&llhttp_->state) != 0;
}

bool Parser::finish() {
  if (!in_body_) return !begun_;
  if (!needs_end_of_stream()) return false;
  in_body_ = begun_ = false;
  return true;
}

}  // namespace aio::http::detail

#include "websocket_handshake.hpp"

#include "text.hpp"

#include <algorithm>
#include <array>
#include <openssl/evp.h>
#include <sys/random.h>
#include <system_error>
#include <utility>
#include <vector>

namespace aio::http {

WebSocketOptions::WebSocketOptions() = default;

namespace detail {
namespace {

constexpr int bad_request = 400;
constexpr int upgrade_required = 426;
constexpr std::size_t key_bytes = 16;
constexpr std::string_view deflate_name = "permessage-deflate";

// Base64 of 16 bytes.
bool is_key(std::string_view key) noexcept {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  unsigned char bytes[18];
  return EVP_DecodeBlock(bytes, reinterpret_cast<const unsigned char*>(key.data()),
                         static_cast<int>(key.size())) == static_cast<int>(sizeof bytes);
}

// Cut at each `separator` that does not stand in quotes; blanks around the parts are taken off.
std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] == '"') quoted = !quoted;
    if (at < text.size() && (quoted || text[at] != separator)) continue;
    parts.push_back(trimmed(text.substr(begin, at - begin)));
    begin = at + 1;
  }
  return parts;
}

// The list that all fields of that name make.
std::vector<std::string> list_of(const Headers& headers, std::string_view name) {
  std::vector<std::string> list;
  for (const std::string& value : headers.get_all(name))
    for (const std::string_view part : parts_of(value, ','))
      if (!part.empty()) list.emplace_back(part);
  return list;
}

bool names(const Headers& headers, std::string_view name, std::string_view token) {
  const std::vector<std::string> list = list_of(headers, name);
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& one) { return equal_ignoring_case(one, token); });
}

// --- permessage-deflate ------------------------------------------------------------------------

// The parameters of one offer of it, or of the answer. RFC 7692, 7.1.
struct Parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<int> server_max_window_bits;
  std::optional<int> client_max_window_bits;  // 0: without a value
};

std::optional<int> window_bits(std::string_view value) noexcept {
  if (value.size() == 1 && (value[0] == '8' || value[0] == '9')) return value[0] - '0';
  if (value.size() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5')
    return 10 + (value[1] - '0');
  return std::nullopt;
}

// False: one that may not be, or not so.
bool parse_parameter(std::string_view text, Parameters& to) noexcept {
  const std::size_t equals = text.find('=');
  const std::string_view name = trimmed(text.substr(0, equals));
  std::optional<std::string_view> value;
  if (equals != std::string_view::npos) value = trimmed(text.substr(equals + 1));
  if (value && value->size() >= 2 && value->front() == '"' && value->back() == '"')
    value = value->substr(1, value->size() - 2);
  if (name == "server_no_context_takeover")
    return !value && !std::exchange(to.server_no_context_takeover, true);
  if (name == "client_no_context_takeover")
    return !value && !std::exchange(to.client_no_context_takeover, true);
  if (name == "server_max_window_bits" && value && !to.server_max_window_bits)
    return (to.server_max_window_bits = window_bits(*value)).has_value();
  if (name == "client_max_window_bits" && !to.client_max_window_bits)
    return (to.client_max_window_bits = value ? window_bits(*value) : 0).has_value();
  return false;
}

// nullopt: it is not this extension, or not to be had so.
std::optional<Parameters> parse_deflate(std::string_view extension) {
  const std::vector<std::string_view> parts = parts_of(extension, ';');
  if (!equal_ignoring_case(parts.front(), deflate_name)) return std::nullopt;
  Parameters parameters;
  for (std::size_t at = 1; at < parts.size(); ++at)
    if (!parse_parameter(parts[at], parameters)) return std::nullopt;
  return parameters;
}

std::string answer_of(const Parameters& offer) {
  std::string answer(deflate_name);
  if (offer.server_no_context_takeover) answer += "; server_no_context_takeover";
  if (offer.client_no_context_takeover) answer += "; client_no_context_takeover";
  if (offer.server_max_window_bits)
    answer += "; server_max_window_bits=" + std::to_string(*offer.server_max_window_bits);
  return answer;
}

// The first offer that can be taken.
std::optional<Deflate> accept_deflate(const Headers& request, Headers& answer) {
  for (const std::string& one : list_of(request, "Sec-WebSocket-Extensions")) {
    if (!is_token(parts_of(one, ';').front()))
      throw ProtocolError(bad_request, "no extension: '" + one + "'");
    const std::optional<Parameters> offer = parse_deflate(one);
    if (!offer) continue;
    answer.set("Sec-WebSocket-Extensions", answer_of(*offer));
    Deflate deflate;
    deflate.window_bits = offer->server_max_window_bits.value_or(15);
    deflate.takeover = !offer->server_no_context_takeover;
    deflate.peer_takeover = !offer->client_no_context_takeover;
    return deflate;
  }
  return std::nullopt;
}

std::optional<Deflate> check_deflate(const Headers& answer, bool offered) {
  const std::vector<std::string> extensions = list_of(answer, "Sec-WebSocket-Extensions");
  if (extensions.empty()) return std::nullopt;
  const std::optional<Parameters> agreed = parse_deflate(extensions.front());
  if (!offered || extensions.size() > 1 || !agreed || agreed->client_max_window_bits == 0)
    throw ProtocolError(bad_request, "the server answers with an extension that nobody offered: '" +
                                         extensions.front() + "'");
  Deflate deflate;
  deflate.window_bits = agreed->client_max_window_bits.value_or(15);
  deflate.takeover = !agreed->client_no_context_takeover;
  deflate.peer_takeover = !agreed->server_no_context_takeover;
  return deflate;
}

// --- subprotocols ------------------------------------------------------------------------------

std::string choose_protocol(const Headers& request, const WebSocketOptions& options) {
  for (const std::string& offered : list_of(request, "Sec-WebSocket-Protocol")) {
    if (!is_token(offered))
      throw ProtocolError(bad_request, "no name for a subprotocol: '" + offered + "'");
    if (std::find(options.protocols.begin(), options.protocols.end(), offered) !=
        options.protocols.end())
      return offered;
  }
  return {};
}

void check_request(const Head& request, Headers& answer) {
  const Headers& headers = request.headers;
  if (request.method != "GET" || request.minor == 0)
    throw ProtocolError(bad_request, "a WebSocket begins with a GET of HTTP/1.1");
  if (!names(headers, "Upgrade", "websocket") || !names(headers, "Connection", "upgrade")) {
    answer.set("Upgrade", "websocket");
    answer.set("Connection", "Upgrade");
    throw ProtocolError(upgrade_required, "there is only a WebSocket here");
  }
  const std::vector<std::string> versions = headers.get_all("Sec-WebSocket-Version");
  if (versions.size() != 1 || versions.front() != "13") {
    answer.set("Sec-WebSocket-Version", "13");
    throw ProtocolError(upgrade_required, "a version of WebSocket other than 13");
  }
  const std::vector<std::string> keys = headers.get_all("Sec-WebSocket-Key");
  if (keys.size() != 1 || !is_key(keys.front()))
    throw ProtocolError(bad_request, keys.empty() ? "no Sec-WebSocket-Key"
                                                  : "no Sec-WebSocket-Key: '" + keys.front() + "'");
}

}  // namespace

std::string websocket_accept_of(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw std::runtime_error("OpenSSL has no SHA-1, which the handshake of WebSocket needs");
  return base64({reinterpret_cast<const char*>(digest.data()), size});
}

WebSocketAgreement accept_websocket(const Head& request, const WebSocketOptions& options,
                                    Headers& headers) {
  check_request(request, headers);
  WebSocketAgreement agreement;
  Headers answer;
  answer.set("Upgrade", "websocket");
  answer.set("Connection", "Upgrade");
  answer.set("Sec-WebSocket-Accept",
             websocket_accept_of(*request.headers.find("Sec-WebSocket-Key")));
  agreement.protocol = choose_protocol(request.headers, options);
  if (!agreement.protocol.empty()) answer.set("Sec-WebSocket-Protocol", agreement.protocol);
  if (options.compress) agreement.deflate = accept_deflate(request.headers, answer);
  for (const auto& [name, value] : answer) headers.set(name, value);
  return agreement;
}

std::string make_websocket_key() {
  char bytes[key_bytes];
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes))
    throw std::system_error(errno, std::generic_category(), "getrandom");
  return base64({bytes, sizeof bytes});
}

void ask_for_websocket(Headers& headers, std::string_view key, const WebSocketOptions& options) {
  headers.set("Upgrade", "websocket");
  headers.set("Connection", "Upgrade");
  headers.set("Sec-WebSocket-Version", "13");
  headers.set("Sec-WebSocket-Key", std::string(key));
  std::string protocols;
  for (const std::string& protocol : options.protocols) {
    if (!is_token(protocol))
      throw std::invalid_argument("WebSocketOptions: no name for a subprotocol: '" + protocol +
                                  "'");
    protocols += (protocols.empty() ? "" : ", ") + protocol;
  }
  if (!protocols.empty()) headers.set("Sec-WebSocket-Protocol", protocols);
  if (options.compress)
    headers.set("Sec-WebSocket-Extensions", std::string(deflate_name) + "; client_max_window_bits");
}

WebSocketAgreement check_websocket_answer(const Headers& answer, std::string_view key,
                                          const WebSocketOptions& options) {
  const auto refuse = [](const std::string& what) {
    return ProtocolError(bad_request, "the server answers with " + what);
  };
  if (!names(answer, "Upgrade", "websocket")) throw refuse("no Upgrade to websocket");
  if (!names(answer, "Connection", "upgrade")) throw refuse("no Connection: Upgrade");
  const std::vector<std::string> accepts = answer.get_all("Sec-WebSocket-Accept");
  if (accepts.size() != 1 || accepts.front() != websocket_accept_of(key))
    throw refuse("a Sec-WebSocket-Accept that is not that of our key");
  WebSocketAgreement agreement;
  const std::vector<std::string> protocols = answer.get_all("Sec-WebSocket-Protocol");
  if (protocols.size() > 1 ||
      (!protocols.empty() && std::find(options.protocols.begin(), options.protocols.end(),
                                       protocols.front()) == options.protocols.end()))
    throw refuse("a subprotocol that was not offered: '" + protocols.front() + "'");
  if (!protocols.empty()) agreement.protocol = protocols.front();
  agreement.deflate = check_deflate(answer, options.compress);
  return agreement;
}

}  // namespace detail
}  // namespace aio::http

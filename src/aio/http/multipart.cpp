#include "multipart.hpp"

#include <aio/http/headers.hpp>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <sys/random.h>
#include <system_error>

namespace aio::http::detail {
namespace {

std::string random_boundary() {
  std::array<std::uint8_t, 16> bytes{};
  if (getentropy(bytes.data(), bytes.size()) != 0)
    throw std::system_error(errno, std::system_category(), "getentropy");
  std::string text = "----uvlet";
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// As browsers write a name: a lone CR or LF is a line end like CRLF.
std::string with_line_ends(std::string_view name) {
  std::string text;
  for (std::size_t at = 0; at < name.size(); ++at) {
    if (name[at] != '\r' && name[at] != '\n') {
      text += name[at];
      continue;
    }
    text += "\r\n";
    if (name.substr(at, 2) == "\r\n") ++at;
  }
  return text;
}

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) {
    switch (c) {
      case '"': text += "%22"; break;
      case '\r': text += "%0D"; break;
      case '\n': text += "%0A"; break;
      default: text += c;
    }
  }
  return text + "\"";
}

void add_head(std::string& body, const FormPart& part) {
  body += "Content-Disposition: form-data; name=" + quoted(with_line_ends(part.name));
  if (part.filename) body += "; filename=" + quoted(*part.filename);
  body += "\r\n";
  if (part.content_type || part.filename) {
    const std::string type = part.content_type.value_or("application/octet-stream");
    const Headers checked{{"Content-Type", type}};
    body += "Content-Type: " + type + "\r\n";
  }
  body += "\r\n";
}

}  // namespace

Multipart encode_multipart(const std::vector<FormPart>& parts) {
  const std::string boundary = random_boundary();
  Multipart result;
  result.content_type = "multipart/form-data; boundary=" + boundary;
  std::size_t bytes = 0;
  for (const FormPart& part : parts) bytes += part.value.size();
  result.body.reserve(bytes + 256 * (parts.size() + 1));
  for (const FormPart& part : parts) {
    result.body += "--" + boundary + "\r\n";
    add_head(result.body, part);
    result.body += part.value;
    result.body += "\r\n";
  }
  result.body += "--" + boundary + "--\r\n";
  return result;
}

}  // namespace aio::http::detail

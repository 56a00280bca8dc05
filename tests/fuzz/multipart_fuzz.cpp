// Parts, as lines of name, filename, type and value: a form has as many parts as it was given,
// whose heads are the lines that they should be.

#include "../../src/aio/http/multipart.hpp"

#include "fuzz.hpp"

#include <stdexcept>

using aio::http::FormPart;

namespace {

std::vector<FormPart> parts_of(fuzz::Input input) {
  std::vector<FormPart> parts;
  while (!input.rest().empty()) {
    const unsigned has = input.byte();
    FormPart part(std::string(input.until('\0')), "");
    if ((has & 1) != 0) part.filename = input.until('\0');
    if ((has & 2) != 0) part.content_type = input.until('\0');
    part.value = input.until('\0');
    parts.push_back(std::move(part));
  }
  return parts;
}

// What is before the mark; it goes with the mark.
std::string_view take(std::string_view& text, std::string_view mark) {
  const std::size_t end = text.find(mark);
  fuzz::require(end != std::string_view::npos, "a form has all of its marks");
  const std::string_view before = text.substr(0, end);
  text.remove_prefix(end + mark.size());
  return before;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::vector<FormPart> parts = parts_of(fuzz::Input(bytes, size));
  aio::http::detail::Multipart form;
  try {
    form = aio::http::detail::encode_multipart(parts);
  } catch (const std::invalid_argument&) {
    return 0;  // a type of several lines
  }
  const std::string boundary = "--" + form.content_type.substr(form.content_type.find('=') + 1);
  std::string_view body = form.body;
  for (const FormPart& part : parts) {
    fuzz::require(take(body, boundary + "\r\n").empty(), "a part begins at its boundary");
    fuzz::require(take(body, "\"").starts_with("Content-Disposition: form-data; name="),
                  "its head");
    take(body, "\"");
    if (part.filename) {
      fuzz::require(take(body, "\"") == "; filename=", "a file has a name");
      take(body, "\"");
    }
    fuzz::require(take(body, "\r\n").empty(), "names are on their line");
    if (part.filename || part.content_type)
      fuzz::require(take(body, "\r\n").starts_with("Content-Type: "), "a type is a line");
    fuzz::require(take(body, "\r\n").empty(), "a head ends");
    fuzz::require(body.starts_with(part.value), "a value is as it was");
    body.remove_prefix(part.value.size());
    fuzz::require(take(body, "\r\n").empty(), "a value ends");
  }
  fuzz::require(body == boundary + "--\r\n", "a form ends");
  return 0;
}

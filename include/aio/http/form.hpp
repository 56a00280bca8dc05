#pragma once

#include <optional>
#include <string>
#include <utility>

namespace aio::http {

// A field of a form, or a file, in a body of multipart/form-data. The names and the value are bytes
// as they are sent: UTF-8, where the server expects nothing else.
struct FormPart {
  FormPart() = default;
  FormPart(std::string field, std::string bytes, std::optional<std::string> file = std::nullopt,
           std::optional<std::string> type = std::nullopt)
      : name(std::move(field)),
        value(std::move(bytes)),
        filename(std::move(file)),
        content_type(std::move(type)) {}

  std::string name;
  std::string value;
  std::optional<std::string> filename;      // makes it a file
  std::optional<std::string> content_type;  // of a file: application/octet-stream, unless given
};

}  // namespace aio::http

#pragma once

#include <aio/http/form.hpp>
#include <uvlet/config.hpp>

#include <string>
#include <vector>

namespace aio::http::detail {

struct Multipart {
  std::string content_type;  // with the boundary
  std::string body;
};

// multipart/form-data (RFC 7578), with names as browsers write them: a quote and line ends escaped,
// all else as it is (WHATWG HTML, 4.10.21.8). Values are not touched. The boundary is random, so
// that no value can contain it but by an accident of 128 bits. Throws std::invalid_argument for a
// content type that would not be one field.
UVLET_API Multipart encode_multipart(const std::vector<FormPart>& parts);

}  // namespace aio::http::detail

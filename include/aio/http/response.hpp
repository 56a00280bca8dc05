#pragma once

#include <aio/http/errors.hpp>
#include <aio/http/headers.hpp>
#include <aio/http/json.hpp>
#include <aio/task.hpp>

#include <memory>
#include <string>

namespace aio::http {

namespace detail {
class ClientExchange;
}  // namespace detail

// A response, whose body is read from the connection as it is asked for. Read to its end it gives
// the connection back at once; released, or the last of its handles gone, before that, it closes
// it. A shared handle; a task made of it keeps it alive.
class UVLET_API ClientResponse {
 public:
  explicit ClientResponse(std::shared_ptr<detail::ClientExchange> exchange) noexcept;

  int status() const noexcept;
  const std::string& reason() const noexcept;  // "Not Found"
  const Headers& headers() const noexcept;
  // Where it comes from, after redirects; without user and password.
  const std::string& url() const noexcept;

  // All of the body, decoded as Content-Encoding says; again, the same. Throws ClientPayloadError
  // for a body that is cut short or not of its coding, TimeoutError, ClientError after release().
  // Cut short by a cancel it can be asked again, and nothing is lost.
  task<std::string> read();
  task<std::string> text() { return read(); }
  // ClientPayloadError if it is none.
  task<http::json> json();
  // The next bytes of the body, decoded; "" at its end. Throws as read() does. What was read so is
  // not there for read().
  task<std::string> read_chunk();

  // Throws ClientResponseError for a status of 400 and above.
  void raise_for_status() const;
  // Nothing more is read: if the body has not ended, the connection closes.
  void release();

  // For the rest of the library.
  const std::shared_ptr<detail::ClientExchange>& exchange() const noexcept { return exchange_; }

 private:
  std::shared_ptr<detail::ClientExchange> exchange_;
};

}  // namespace aio::http

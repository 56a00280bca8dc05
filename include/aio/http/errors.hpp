#pragma once

#include <uvlet/config.hpp>

#include <stdexcept>
#include <string>

namespace aio::http {

// What a client's calls throw, by aiohttp's names. Timeouts are aio::TimeoutError.
struct UVLET_API ClientError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// No connection came about: the name was not found, nobody listens, TLS was refused.
struct UVLET_API ClientConnectorError : ClientError {
  using ClientError::ClientError;
};

// The server closed the connection before its response's head was complete, or sent none.
struct UVLET_API ServerDisconnectedError : ClientError {
  using ClientError::ClientError;
};

// A response's body is cut short, or is not what its head says: its length, its coding.
struct UVLET_API ClientPayloadError : ClientError {
  using ClientError::ClientError;
};

// The response is not of use: raise_for_status() of one of 400 and above, or a head that breaks the
// protocol.
struct UVLET_API ClientResponseError : ClientError {
  ClientResponseError(int code, const std::string& what) : ClientError(what), status(code) {}
  int status;
};

// A redirect too many; `status` is that of the last one.
struct UVLET_API TooManyRedirects : ClientResponseError {
  using ClientResponseError::ClientResponseError;
};

// What was given, or what a redirect names, is no URL that a client can ask.
struct UVLET_API InvalidURL : ClientError {
  using ClientError::ClientError;
};

}  // namespace aio::http

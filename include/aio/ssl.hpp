#pragma once

#include <aio/server.hpp>
#include <aio/ssl_options.hpp>
#include <aio/stream.hpp>
#include <aio/task.hpp>

#include <utility>

namespace aio {

// Connects, and shakes hands. Throws what open_connection(Address) does, SslError, invalid_argument
// for bad options.
UVLET_API task<Stream> open_connection(Address address, SslOptions options);

// From here on the stream is encrypted. Nobody may be reading from it. After an error it is of no
// use any more. Throws as open_connection does. Source: asyncio.StreamWriter.start_tls.
UVLET_API task<void> start_tls(Stream stream, SslOptions options);

// The handler gets a connection once it has shaken hands; one that cannot, or takes longer than a
// minute, is closed. Source: asyncio.start_server.
template <class H>
task<Server> start_server(H handler, Address address, SslOptions options, bool reuse_port = false) {
  options.server_side = true;
  return detail::serve_on(detail::stream_handler(std::move(handler)), std::move(address),
                          reuse_port, detail::ssl_transport(options));
}

// Throws logic_error for a stream that is not encrypted.
UVLET_API SslInfo ssl_info(const Stream& stream);

}  // namespace aio

#pragma once

// TLS for green sockets; part of green/socket.hpp. In the library uvlet-tls.

#include <aio/ssl_options.hpp>
#include <aio/task.hpp>

namespace green {

class Socket;
using aio::SslCertificate;
using aio::SslCertVerificationError;
using aio::SslEofError;
using aio::SslError;
using aio::SslInfo;
using aio::SslOptions;

// The socket, encrypted. A connected one shakes hands now, within its settimeout. One that is not
// connected does so in connect(). A listener's accept() gives sockets that shake hands at their
// first recv or send, which throws what goes wrong: a peer that stalls holds up no other.
// recv gives "" only if the peer has said that it ends, or after shutdown(SHUT_RD), else
// SslEofError; shutdown(SHUT_WR) and close say so, close without waiting. Throws SslError,
// system_error, invalid_argument for bad options.
// Blocks the green thread. Cancel point. Source: eventlet.wrap_ssl.
UVLET_API Socket wrap_ssl(Socket socket, SslOptions options);
UVLET_API aio::task<Socket> wrap_ssl_async(Socket socket, SslOptions options);

// The socket as it was before wrap_ssl, once both ends have said that the encrypted part is over;
// it may be wrapped again. What came in the clear together with that end is to be read before
// dup(). Throws SslError if the peer sends more instead, SslEofError if it ends without saying so
// or we have shut down reading before it did, logic_error for a socket that is not encrypted.
// Blocks the green thread. Cancel point. Source: ssl.SSLSocket.unwrap.
UVLET_API Socket unwrap_ssl(Socket socket);
UVLET_API aio::task<Socket> unwrap_ssl_async(Socket socket);

// Throws logic_error for a socket that is not encrypted.
UVLET_API SslInfo ssl_info(const Socket& socket);

}  // namespace green

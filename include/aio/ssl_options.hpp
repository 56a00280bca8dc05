#pragma once

// What both faces of TLS share: its options, its errors, and what a handshake has agreed on. In the
// library uvlet-tls.

#include <uvlet/config.hpp>
#include <uvlet/transport.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace aio {

// How a connection is encrypted: TLS 1.2 or 1.3, without renegotiation. Files are PEM.
struct SslOptions {
  SslOptions() {}

  bool server_side = false;
  // Our certificate, then those that lead to its root; a server needs one.
  std::string certfile;
  // Its key, without a passphrase; empty: in certfile.
  std::string keyfile;
  // Whom to trust: a file, or a directory as `openssl rehash` makes it. Empty: for a client those
  // whom the system trusts; a server then asks for no certificate, else it requires one.
  std::string ca_certs;
  // Whom a client means to talk to: a name or an IP address, which is sent to the server if it is a
  // name, and which the certificate must be for. open_connection takes the host of the address.
  std::string server_hostname;
  // Whether the peer has to prove who it is.
  bool verify = true;
  // Protocols to agree on, the preferred one first; the server's preference counts. Where there is
  // none in common the connection goes on without: SslInfo::alpn tells.
  std::vector<std::string> alpn;
  // In OpenSSL's notation; those of TLS 1.3, "TLS_...", are set apart. Empty: OpenSSL's choice.
  std::string ciphers;
};

// TLS failed; what() ends with OpenSSL's reason. Failures of the socket are plain system_errors.
// Source: ssl.SSLError.
struct UVLET_API SslError : std::system_error {
  using std::system_error::system_error;
};

// The peer's certificate is not one to trust: expired, of an unknown issuer, for another host.
// code() is one of OpenSSL's X509_V_ERR numbers. Source: ssl.SSLCertVerificationError.
struct UVLET_API SslCertVerificationError : SslError {
  using SslError::SslError;
};

// The connection ended without the peer saying so: what it sent may be cut short.
// Source: ssl.SSLEOFError.
struct UVLET_API SslEofError : SslError {
  using SslError::SslError;
};

struct SslCertificate {
  std::string subject;                         // "CN=example.com,O=Example", as RFC 2253 writes it
  std::string issuer;                          //
  std::vector<std::string> subject_alt_names;  // "DNS:example.com", "IP Address:127.0.0.1"
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;
  std::string serial_number;  // hexadecimal
  std::string der;            // all of it
};

// What a handshake has agreed on; empty before its end.
struct SslInfo {
  std::string version;  // "TLSv1.3"
  std::string cipher;   // "TLS_AES_256_GCM_SHA384"
  std::string alpn;     // the protocol, "h2"; empty: none
  bool session_reused = false;
  std::string server_hostname;  // whom the client asked for
  std::optional<SslCertificate> peer_certificate;
};

namespace detail {

// Throws invalid_argument for options that do not go together, or whose files hold something else;
// system_error for files that cannot be read.
UVLET_API std::unique_ptr<uvlet::Transport> ssl_transport(const SslOptions& options);
// Throws logic_error if there is no TLS.
UVLET_API SslInfo ssl_info(const uvlet::Transport* transport);

}  // namespace detail
}  // namespace aio

#pragma once

#include <aio/ssl_options.hpp>

#include <list>
#include <memory>
#include <mutex>
#include <openssl/ssl.h>
#include <string>
#include <utility>

namespace aio::tls {

struct Free {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};

// Sessions that clients may resume, the latest first. Thread-safe.
class Sessions {
 public:
  using Session = std::unique_ptr<SSL_SESSION, Free>;

  void put(const std::string& peer, Session&& session);
  // Null: none. One of TLS 1.3 is given once, so that connections cannot be linked by it.
  Session take(const std::string& peer);

 private:
  std::mutex mutex_;
  std::list<std::pair<std::string, Session>> sessions_;
};

// What connections with the same options share. Immutable; thread-safe.
class Context {
 public:
  explicit Context(const SslOptions& options);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // The one of all connections with these options, as long as the files are the same.
  static std::shared_ptr<Context> of(const SslOptions& options);

  SSL_CTX* get() const noexcept { return context_.get(); }

  const bool server_side;
  const bool verify;
  Sessions sessions;

 private:
  void load_certificate(const SslOptions& options);
  void load_authorities(const SslOptions& options);
  void offer_protocols(const SslOptions& options);
  void choose_ciphers(const std::string& ciphers);

  std::unique_ptr<SSL_CTX, Free> context_;
  std::string protocols_;  // as they are sent: each after its length
};

}  // namespace aio::tls

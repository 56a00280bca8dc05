#pragma once

#include <aio/ssl_options.hpp>

#include <openssl/ssl.h>
#include <string>

namespace aio::tls {

bool is_ip(const std::string& host) noexcept;
// Tells the server whom we mean, and the check of its certificate. False: no memory.
bool ask_for(SSL& ssl, const std::string& host, bool verify) noexcept;
SslCertificate describe(const X509& certificate);

}  // namespace aio::tls

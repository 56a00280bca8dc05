#pragma once

#include <system_error>

namespace aio::tls {

// The first of OpenSSL's errors on this thread, with its reason; all of them are taken away.
std::error_code take_error() noexcept;
// Of the check of a certificate: an X509_V_ERR number.
std::error_code verify_error(long result) noexcept;

}  // namespace aio::tls

#include "error.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <string>

namespace aio::tls {
namespace {

struct SslCategory final : std::error_category {
  const char* name() const noexcept override { return "ssl"; }
  std::string message(int value) const override {
    const char* reason = ERR_reason_error_string(static_cast<unsigned long>(value));
    return reason ? reason : "TLS error " + std::to_string(value);
  }
};

struct VerifyCategory final : std::error_category {
  const char* name() const noexcept override { return "x509"; }
  std::string message(int value) const override {
    return std::string("certificate verify failed: ") + X509_verify_cert_error_string(value);
  }
};

}  // namespace

std::error_code take_error() noexcept {
  static const SslCategory category;
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(error)) return {ERR_GET_REASON(error), std::generic_category()};
  return {static_cast<int>(error), category};
}

std::error_code verify_error(long result) noexcept {
  static const VerifyCategory category;
  return {static_cast<int>(result), category};
}

}  // namespace aio::tls

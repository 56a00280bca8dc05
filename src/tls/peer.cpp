#include "peer.hpp"

#include <arpa/inet.h>
#include <ctime>
#include <memory>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>

namespace aio::tls {
namespace {

struct FreeAll {
  void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};

std::string text_of(const X509_NAME* name) {
  const std::unique_ptr<BIO, FreeAll> bio(BIO_new(BIO_s_mem()));
  if (!bio) throw std::bad_alloc();
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(bytes)};
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) {
  std::tm fields{};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return {};
  return std::chrono::system_clock::from_time_t(::timegm(&fields));
}

std::string serial_of(const X509& certificate) {
  const std::unique_ptr<BIGNUM, FreeAll> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
  char* text = number ? BN_bn2hex(number.get()) : nullptr;
  if (!text) throw std::bad_alloc();
  std::string serial = text;
  OPENSSL_free(text);
  return serial;
}

std::string bytes_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string address_of(const ASN1_OCTET_STRING* address) {
  const std::string bytes = bytes_of(address);
  char text[INET6_ADDRSTRLEN] = "";
  if (bytes.size() != 4 && bytes.size() != 16) return "<invalid>";
  ::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

std::string text_of(const GENERAL_NAME* name) {
  switch (name->type) {
    case GEN_DNS: return "DNS:" + bytes_of(name->d.dNSName);
    case GEN_EMAIL: return "email:" + bytes_of(name->d.rfc822Name);
    case GEN_URI: return "URI:" + bytes_of(name->d.uniformResourceIdentifier);
    case GEN_IPADD: return "IP Address:" + address_of(name->d.iPAddress);
    default: return "other:";
  }
}

std::vector<std::string> names_of(const X509& certificate) {
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, FreeAll> found(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; found && i < sk_GENERAL_NAME_num(found.get()); ++i)
    names.push_back(text_of(sk_GENERAL_NAME_value(found.get(), i)));
  return names;
}

std::string der_of(const X509& certificate) {
  std::string der(static_cast<std::size_t>(std::max(i2d_X509(&certificate, nullptr), 0)), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(&certificate, &out);
  return der;
}

}  // namespace

bool is_ip(const std::string& host) noexcept {
  in6_addr address;
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool ask_for(SSL& ssl, const std::string& host, bool verify) noexcept {
  if (host.empty()) return true;
  const bool ip = is_ip(host);
  if (!ip && SSL_set_tlsext_host_name(&ssl, host.c_str()) != 1) return false;
  if (!verify) return true;
  X509_VERIFY_PARAM* rules = SSL_get0_param(&ssl);
  return (ip ? X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str())
             : X509_VERIFY_PARAM_set1_host(rules, host.data(), host.size())) == 1;
}

SslCertificate describe(const X509& certificate) {
  SslCertificate described;
  described.subject = text_of(X509_get_subject_name(&certificate));
  described.issuer = text_of(X509_get_issuer_name(&certificate));
  described.subject_alt_names = names_of(certificate);
  described.not_before = time_of(X509_get0_notBefore(&certificate));
  described.not_after = time_of(X509_get0_notAfter(&certificate));
  described.serial_number = serial_of(certificate);
  described.der = der_of(certificate);
  return described;
}

}  // namespace aio::tls

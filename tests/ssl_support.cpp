#include "ssl_support.hpp"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <unistd.h>

namespace test {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(FILE* file) const { std::fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using File = std::unique_ptr<FILE, Free>;

File open(const std::string& path, const char* mode) {
  File file(std::fopen(path.c_str(), mode));
  if (!file) throw std::runtime_error("cannot open " + path);
  return file;
}

void name(X509_NAME* place, const std::string& common_name) {
  X509_NAME_add_entry_by_txt(place, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension) throw std::runtime_error("bad extension " + value);
  X509_add_ext(certificate, extension.get(), -1);
}

}  // namespace

Certificates::Certificates() {
  char pattern[] = "/tmp/uvlet-certificates-XXXXXX";
  if (!::mkdtemp(pattern)) throw std::runtime_error("no folder for certificates");
  folder_ = pattern;
  CertificateSpec authority;
  authority.common_name = "Test CA";
  authority.alt_names = {};
  authority.authority = true;
  authority.issuer = "";
  make("ca", authority);
  make("server", CertificateSpec());
  CertificateSpec client;
  client.common_name = "client";
  client.alt_names = {"email:client@example.test"};
  make("client", client);
}

Certificates::~Certificates() { std::filesystem::remove_all(folder_); }

void Certificates::make(const std::string& file, const CertificateSpec& spec) {
  static long serial = 0x1000;
  const Key own(EVP_EC_gen("P-256"));
  const Certificate made(X509_new());
  Key issuer_key;
  Certificate issuer;
  if (!spec.issuer.empty()) {
    issuer.reset(
        PEM_read_X509(open(certificate(spec.issuer), "r").get(), nullptr, nullptr, nullptr));
    issuer_key.reset(
        PEM_read_PrivateKey(open(key(spec.issuer), "r").get(), nullptr, nullptr, nullptr));
  }
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
  X509_time_adj_ex(X509_getm_notBefore(made.get()), static_cast<int>(spec.first_day), 0, nullptr);
  X509_time_adj_ex(X509_getm_notAfter(made.get()), static_cast<int>(spec.last_day), 0, nullptr);
  X509_set_pubkey(made.get(), own.get());
  name(X509_get_subject_name(made.get()), spec.common_name);
  X509* signer = issuer ? issuer.get() : made.get();
  X509_set_issuer_name(made.get(), X509_get_subject_name(signer));
  extend(made.get(), signer, NID_basic_constraints,
         spec.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  std::string names;
  for (const std::string& each : spec.alt_names) names += (names.empty() ? "" : ",") + each;
  if (!names.empty()) extend(made.get(), signer, NID_subject_alt_name, names);
  X509_sign(made.get(), issuer_key ? issuer_key.get() : own.get(), EVP_sha256());

  const File out = open(certificate(file), "w");
  PEM_write_X509(out.get(), made.get());
  // The chain: what is between it and its root.
  if (issuer &&
      X509_NAME_cmp(X509_get_subject_name(issuer.get()), X509_get_issuer_name(issuer.get())) != 0)
    PEM_write_X509(out.get(), issuer.get());
  PEM_write_PrivateKey(open(key(file), "w").get(), own.get(), nullptr, nullptr, 0, nullptr,
                       nullptr);
}

Certificates& certificates() {
  static Certificates made;
  return made;
}

SslPair ssl_pair(green::Socket client, green::Socket server, aio::SslOptions for_client,
                 aio::SslOptions for_server) {
  auto accepting = green::spawn([&] { return green::wrap_ssl(std::move(server), for_server); });
  try {
    green::Socket wrapped = green::wrap_ssl(std::move(client), for_client);
    return {std::move(wrapped), std::move(accepting).wait()};
  } catch (...) {
    accepting.kill();
    throw;
  }
}

SslPair ssl_pair(aio::SslOptions for_client, aio::SslOptions for_server) {
  auto [client, server] = connected_pair();
  return ssl_pair(std::move(client), std::move(server), std::move(for_client),
                  std::move(for_server));
}

std::string read_all(green::Socket& socket) {
  std::string all;
  for (std::string data; !(data = socket.recv(64 * 1024)).empty();) all += data;
  return all;
}

}  // namespace test

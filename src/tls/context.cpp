#include "context.hpp"

#include "error.hpp"

#include <fcntl.h>
#include <uvlet/c_string.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace aio::tls {
namespace {

constexpr std::size_t sessions_max = 256;
constexpr std::size_t contexts_max = 64;
constexpr std::size_t protocol_bytes_max = 255;

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("SslOptions: " + what);
}

// With OpenSSL's reason.
[[noreturn]] void refuse_file(const std::string& what) {
  refuse(what + ": " + take_error().message());
}

// A digest of the file's or directory's state: what was read from it may be used again.
std::string stamp(const char* option, const std::string& path) {
  if (path.empty()) return {};
  const int fd =
      ::open(uvlet::c_string(path, std::string("SslOptions: ") + option), O_RDONLY | O_CLOEXEC);
  struct stat status;
  const bool readable = fd >= 0 && ::fstat(fd, &status) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!readable)
    throw std::system_error(error, std::generic_category(),
                            std::string("SslOptions: ") + option + " " + path);
  return path + '\0' + std::to_string(status.st_dev) + ' ' + std::to_string(status.st_ino) + ' ' +
         std::to_string(status.st_size) + ' ' + std::to_string(status.st_mtim.tv_sec) + ' ' +
         std::to_string(status.st_mtim.tv_nsec);
}

std::string key_of(const SslOptions& options) {
  std::string key = options.server_side ? "server" : "client";
  key += options.verify ? " verify" : "";
  for (const std::string& part :
       {stamp("certfile", options.certfile), stamp("keyfile", options.keyfile),
        stamp("ca_certs", options.ca_certs), options.ciphers})
    key += '\0' + part;
  for (const std::string& protocol : options.alpn) key += '\0' + protocol;
  return key;
}

int no_passphrase(char*, int, int, void*) { return -1; }

// Called with the session of a client: true if it is kept.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* context = static_cast<Context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const auto* peer = static_cast<const std::string*>(SSL_get_app_data(ssl));
  Sessions::Session owned(session);
  try {
    context->sessions.put(*peer, std::move(owned));
    return 1;
  } catch (const std::bad_alloc&) {
    owned.release();  // it stays OpenSSL's
    return 0;
  }
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_bytes,
                    const unsigned char* offered, unsigned offered_bytes, void* ours) {
  const auto& protocols = *static_cast<const std::string*>(ours);
  const int result =
      SSL_select_next_proto(const_cast<unsigned char**>(out), out_bytes,
                            reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()), offered, offered_bytes);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

void Sessions::put(const std::string& peer, Session&& session) {
  std::list<std::pair<std::string, Session>> added;
  added.emplace_back(peer, nullptr);
  added.front().second = std::move(session);
  const std::lock_guard lock(mutex_);
  sessions_.splice(sessions_.begin(), added);
  if (sessions_.size() > sessions_max) sessions_.pop_back();
}

Sessions::Session Sessions::take(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  for (auto each = sessions_.begin(); each != sessions_.end(); ++each) {
    if (each->first != peer) continue;
    SSL_SESSION* session = each->second.get();
    if (SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION) {
      Session taken = std::move(each->second);
      sessions_.erase(each);
      return taken;
    }
    SSL_SESSION_up_ref(session);
    return Session(session);
  }
  return nullptr;
}

std::shared_ptr<Context> Context::of(const SslOptions& options) {
  struct Cache {
    std::mutex mutex;
    std::list<std::pair<std::string, std::shared_ptr<Context>>> contexts;  // the latest first
  };
  static Cache& cache = *new Cache;  // it lives longer than whoever ends late
  const std::string key = key_of(options);
  const std::lock_guard lock(cache.mutex);
  for (auto each = cache.contexts.begin(); each != cache.contexts.end(); ++each) {
    if (each->first != key) continue;
    cache.contexts.splice(cache.contexts.begin(), cache.contexts, each);
    return each->second;
  }
  auto context = std::make_shared<Context>(options);
  cache.contexts.emplace_front(key, context);
  if (cache.contexts.size() > contexts_max) cache.contexts.pop_back();
  return context;
}

Context::Context(const SslOptions& options)
    : server_side(options.server_side),
      verify(options.verify && (!server_side || !options.ca_certs.empty())) {
  ERR_clear_error();
  context_.reset(SSL_CTX_new(server_side ? TLS_server_method() : TLS_client_method()));
  if (!context_) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(get(), TLS1_2_VERSION);
  SSL_CTX_set_options(
      get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_clear_options(get(),
                        SSL_OP_IGNORE_UNEXPECTED_EOF);  // a system's configuration may set it
  SSL_CTX_set_mode(get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(get(), no_passphrase);
  SSL_CTX_set_dh_auto(get(), 1);
  if (server_side) SSL_CTX_set_num_tickets(get(), 0);  // they are sent with the first answer
  // Servers keep their sessions in tickets, clients theirs in Sessions.
  SSL_CTX_set_session_cache_mode(
      get(), server_side ? SSL_SESS_CACHE_OFF : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_set_app_data(get(), this);
  if (!server_side) SSL_CTX_sess_set_new_cb(get(), keep_session);
  load_certificate(options);
  load_authorities(options);
  offer_protocols(options);
  choose_ciphers(options.ciphers);
  ERR_clear_error();
}

void Context::load_certificate(const SslOptions& options) {
  const std::string& certfile = options.certfile;
  if (certfile.empty()) {
    if (server_side) refuse("server_side needs a certfile");
    if (!options.keyfile.empty()) refuse("keyfile " + options.keyfile + " without a certfile");
    return;
  }
  const std::string& keyfile = options.keyfile.empty() ? certfile : options.keyfile;
  if (SSL_CTX_use_certificate_chain_file(get(), certfile.c_str()) != 1)
    refuse_file("certfile " + certfile + " holds no certificate");
  // It compares the key with the certificate too, but tells no more than that it failed.
  if (SSL_CTX_use_PrivateKey_file(get(), keyfile.c_str(), SSL_FILETYPE_PEM) == 1 &&
      SSL_CTX_check_private_key(get()) == 1)
    return;
  if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
      ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH)
    refuse_file("keyfile " + keyfile + " is not the key of certfile " + certfile);
  refuse_file("keyfile " + keyfile + " holds no private key without a passphrase");
}

void Context::load_authorities(const SslOptions& options) {
  if (!verify) {
    SSL_CTX_set_verify(get(), SSL_VERIFY_NONE, nullptr);
    return;
  }
  SSL_CTX_set_verify(get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  X509_VERIFY_PARAM* rules = SSL_CTX_get0_param(get());
  // Whoever is named in ca_certs is trusted, root or not.
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const std::string& path = options.ca_certs;
  if (path.empty()) {
    if (SSL_CTX_set_default_verify_paths(get()) != 1) refuse_file("the system's certificates");
    return;
  }
  struct stat status;
  const bool directory = ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  if (directory ? SSL_CTX_load_verify_dir(get(), path.c_str()) != 1
                : SSL_CTX_load_verify_file(get(), path.c_str()) != 1)
    refuse_file("ca_certs " + path + " holds no certificate");
  if (!server_side) return;
  // Tells clients which of their certificates to send. Sessions are for those with one.
  if (!directory) SSL_CTX_set_client_CA_list(get(), SSL_load_client_CA_file(path.c_str()));
  static constexpr unsigned char name[] = "uvlet";
  SSL_CTX_set_session_id_context(get(), name, sizeof name);
}

void Context::offer_protocols(const SslOptions& options) {
  for (const std::string& protocol : options.alpn) {
    if (protocol.empty() || protocol.size() > protocol_bytes_max)
      refuse("a protocol in alpn has 1 to " + std::to_string(protocol_bytes_max) +
             " bytes, this one has " + std::to_string(protocol.size()) + ": '" +
             uvlet::show_nul(protocol) + "'");
    protocols_ += static_cast<char>(protocol.size());
    protocols_ += protocol;
  }
  if (protocols_.empty()) return;
  if (server_side) {
    SSL_CTX_set_alpn_select_cb(get(), select_protocol, &protocols_);
  } else if (SSL_CTX_set_alpn_protos(get(),
                                     reinterpret_cast<const unsigned char*>(protocols_.data()),
                                     static_cast<unsigned>(protocols_.size())) != 0) {
    refuse_file("alpn");
  }
}

void Context::choose_ciphers(const std::string& ciphers) {
  const auto text_of = [](const std::string& list) {
    return uvlet::c_string(list, "SslOptions: ciphers");
  };
  std::string older;
  std::string newer;  // of TLS 1.3
  for (std::size_t at = 0; at < ciphers.size();) {
    const std::size_t end = std::min(ciphers.find_first_of(":, ", at), ciphers.size());
    const std::string_view name = std::string_view(ciphers).substr(at, end - at);
    at = end + 1;
    if (name.empty()) continue;
    std::string& list = name.substr(0, 4) == "TLS_" ? newer : older;
    if (!list.empty()) list += ':';
    list += name;
  }
  if (!newer.empty() && SSL_CTX_set_ciphersuites(get(), text_of(newer)) != 1)
    refuse_file("ciphers " + newer);
  if (!older.empty() && SSL_CTX_set_cipher_list(get(), text_of(older)) != 1)
    refuse_file("ciphers " + older);
}

}  // namespace aio::tls

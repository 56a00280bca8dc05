#include "transport.hpp"

#include "bio.hpp"
#include "error.hpp"
#include "farewell.hpp"
#include "peer.hpp"

#include <algorithm>
#include <cerrno>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aio::tls {
namespace {

using uvlet::Descriptor;
using uvlet::Direction;

constexpr std::size_t record_bytes = 16 * 1024;
constexpr std::size_t receive_bytes = 2 * (record_bytes + 256);  // two records, as they are sent
constexpr int tickets = 2;
constexpr std::size_t output_max = 64 * 1024;  // a reader that has to answer stops above it

void release(std::string& buffer) noexcept { std::string().swap(buffer); }

// With the first answer: a client that only sends would close without reading them, and the system
// would answer with a reset, by which we might lose what it sent.
void offer_tickets(SSL& ssl) noexcept {
  for (int i = 0; i < tickets && SSL_new_session_ticket(&ssl) == 1; ++i) continue;
}

// The peer's address, whose sessions are its own.
std::string peer_of(int fd, const std::string& host) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) length = 0;
  return host + '\0' + std::string(reinterpret_cast<const char*>(&storage), length);
}

}  // namespace

TlsTransport::~TlsTransport() = default;

void TlsTransport::feed(std::string bytes) {
  kept_input_ = std::move(bytes);
  input_ = kept_input_;
}

// --- between SSL and the descriptor
// ---------------------------------------------------------------

ssize_t TlsTransport::take_input(char* data, std::size_t bytes) noexcept {
  if (input_.empty()) {
    if (output_.size() > output_max) return -EAGAIN;  // first the peer takes its answers
    char* const received = uvlet::transport_scratch(receive_bytes);
    if (!received) return -(read_error_ = ENOMEM);
    const ssize_t got = ::recv(fd_, received, receive_bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return -EAGAIN;
    if (got < 0) return -(read_error_ = errno);
    ended_ = got == 0;
    if (ended_ && reading_over_ && state_ == State::open) return -EAGAIN;
    short_read_ = static_cast<std::size_t>(got) < receive_bytes;
    input_ = {received, static_cast<std::size_t>(got)};
  }
  const std::size_t taken = input_.copy(data, bytes);
  input_.remove_prefix(taken);
  return static_cast<ssize_t>(taken);
}

// What nobody will read counts as sent: the reader still gets what has come.
bool TlsTransport::put_output(const char* data, std::size_t bytes) noexcept {
  if (write_error_ != 0) return true;
  std::size_t put = 0;
  while (output_.empty() && put < bytes) {
    const ssize_t sent = ::send(fd_, data + put, bytes - put, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      write_error_ = errno;
      return true;
    }
    if (sent < 0) break;
    put += static_cast<std::size_t>(sent);
  }
  try {
    output_.append({data + put, bytes - put});
  } catch (...) {
    write_error_ = ENOMEM;
  }
  return true;
}

int TlsTransport::push() noexcept {
  while (!output_.empty()) {
    const ssize_t put = ::send(fd_, output_.data(), output_.size(), MSG_NOSIGNAL);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) return -EAGAIN;
    if (put < 0) {
      write_error_ = errno;
      break;
    }
    output_.drop(static_cast<std::size_t>(put));
  }
  output_.release();
  if (std::exchange(end_wanted_, false)) ::shutdown(fd_, SHUT_WR);
  return -write_error_;
}

// The thread's buffer is everybody's.
void TlsTransport::keep_input() noexcept {
  if (input_.empty()) {
    if (!kept_input_.empty()) release(kept_input_);
    return;
  }
  const bool kept = input_.data() >= kept_input_.data() &&
                    input_.data() < kept_input_.data() + kept_input_.size();
  if (kept) return;
  try {
    kept_input_.assign(input_);
    input_ = kept_input_;
  } catch (...) {
    input_ = {};
    failure_.error = ENOMEM;
  }
}

// The end of every call: what it changed, it tells.
ssize_t TlsTransport::leave(Descriptor& descriptor, ssize_t result) noexcept {
  keep_input();
  if (std::exchange(opened_, false) || !output_.empty()) descriptor.update_watch();
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

// --- the handshake
// --------------------------------------------------------------------------------

bool TlsTransport::begin(Descriptor& descriptor) noexcept {
  ERR_clear_error();
  fd_ = descriptor.fd();
  owner_ = ::getpid();
  std::unique_ptr<SSL, Free> ssl(SSL_new(context_->get()));
  BIO* bio = ssl ? Bio::make(*this) : nullptr;
  if (!bio) return false;
  SSL_set_bio(ssl.get(), bio, bio);
  SSL_set_app_data(ssl.get(), &session_key_);
  if (context_->server_side) {
    SSL_set_accept_state(ssl.get());
  } else {
    SSL_set_connect_state(ssl.get());
    if (!ask_for(*ssl, host_, context_->verify)) return false;
    try {
      session_key_ = peer_of(fd_, host_);
    } catch (...) {
      return false;
    }
    if (const Sessions::Session session = context_->sessions.take(session_key_))
      SSL_set_session(ssl.get(), session.get());
  }
  ssl_ = std::move(ssl);
  state_ = State::handshake;
  return true;
}

int TlsTransport::advance(Descriptor& descriptor) noexcept {
  if (failure_.error != 0) return -failure_.error;
  if (state_ != State::idle && state_ != State::handshake) return 0;
  if (!ssl_ && !begin(descriptor)) return -ENOMEM;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    state_ = State::open;
    opened_ = true;
    return 0;
  }
  const int error = outcome(result);
  return error == -EAGAIN && write_error_ != 0 ? -write_error_ : error;
}

// What SSL's answer means, which is remembered if it is for good. 0: the peer has said that it
// ends.
int TlsTransport::outcome(int result) noexcept {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
      if (state_ == State::open) return 0;
      failure_.truncated = true;
      break;
    default: break;
  }
  failure_.in_handshake = state_ != State::open;
  if (read_error_ != 0) {
    ERR_clear_error();
    failure_.error = read_error_;
    return -failure_.error;
  }
  failure_.error = EPROTO;
  failure_.reason = take_error();
  const int reason = ERR_GET_REASON(static_cast<unsigned long>(failure_.reason.value()));
  failure_.truncated |= reason == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (const long verified = SSL_get_verify_result(ssl_.get());
      reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
    failure_.reason = verify_error(verified);
  return -EPROTO;
}

// --- reading and writing
// --------------------------------------------------------------------------

ssize_t TlsTransport::read(Descriptor& descriptor, char* data, std::size_t bytes) noexcept {
  if (state_ == State::over) return read_plain(descriptor, data, bytes);
  if (const int error = advance(descriptor); error < 0) return error;
  std::size_t total = 0;
  descriptor.drained = short_read_ = false;
  do {
    std::size_t got = 0;
    ERR_clear_error();
    if (const int result = SSL_read_ex(ssl_.get(), data + total, bytes - total, &got);
        result != 1) {
      const int error = outcome(result);
      if (total == 0) return error == -EAGAIN && ended_ && reading_over_ ? 0 : error;
      return static_cast<ssize_t>(total);
    }
    total += got;
    heard_ = true;
  } while (total < bytes && (SSL_pending(ssl_.get()) > 0 || !input_.empty()));
  descriptor.drained = descriptor.short_read_drains() && short_read_ && input_.empty() &&
                       SSL_pending(ssl_.get()) == 0;
  return static_cast<ssize_t>(total);
}

ssize_t TlsTransport::read_plain(Descriptor& descriptor, char* data, std::size_t bytes) noexcept {
  if (!input_.empty()) return take_input(data, bytes);
  const ssize_t got = ::recv(fd_, data, bytes, 0);
  if (got < 0) return -errno;
  descriptor.drained =
      descriptor.short_read_drains() && got > 0 && static_cast<std::size_t>(got) < bytes;
  return got;
}

ssize_t TlsTransport::write(Descriptor& descriptor, const char* data, std::size_t bytes) noexcept {
  if (state_ == State::over) {
    const ssize_t put = ::send(fd_, data, bytes, MSG_NOSIGNAL);
    return put < 0 ? -errno : put;
  }
  if (const int error = advance(descriptor); error < 0) return error;
  if (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) return -EPIPE;
  std::size_t total = 0;
  int error = push();
  if (error == 0 && bytes > 0 && context_->server_side && !std::exchange(answered_, true))
    offer_tickets(*ssl_);
  while (error == 0 && total < bytes) {
    std::size_t put = 0;
    ERR_clear_error();
    const int result =
        SSL_write_ex(ssl_.get(), data + total, std::min(bytes - total, record_bytes), &put);
    error = result == 1 ? push() : outcome(result);
    total += put;
  }
  return total > 0 ? static_cast<ssize_t>(total) : error;
}

// Says that we end, and waits for the peer to say so: without its word an end is a missed one, also
// after we have shut down reading.
int TlsTransport::finish(Descriptor& descriptor) noexcept {
  if (state_ == State::over) return 0;
  reading_over_ = false;
  if (const int error = advance(descriptor); error < 0) return error;
  ERR_clear_error();
  int result = SSL_shutdown(ssl_.get());
  if (result == 0) result = SSL_shutdown(ssl_.get());
  if (result < 0) return outcome(result);
  if (const int error = push(); error < 0) return error;
  state_ = State::over;
  ssl_.reset();
  return 0;
}

int TlsTransport::handshake(Descriptor& descriptor) noexcept {
  return static_cast<int>(leave(descriptor, advance(descriptor)));
}

ssize_t TlsTransport::recv(Descriptor& descriptor, char* data, std::size_t bytes) noexcept {
  return leave(descriptor, read(descriptor, data, bytes));
}

ssize_t TlsTransport::send(Descriptor& descriptor, const char* data, std::size_t bytes) noexcept {
  const ssize_t result = write(descriptor, data, bytes);
  const bool opened = opened_;
  leave(descriptor, result);
  // With the end of the handshake, what the reader waits for may have come.
  if (opened) descriptor.retry(Direction::read);
  if (result < 0) errno = static_cast<int>(-result);
  return result < 0 ? -1 : result;
}

int TlsTransport::unwrap(Descriptor& descriptor) noexcept {
  return static_cast<int>(leave(descriptor, finish(descriptor)));
}

int TlsTransport::flush(Descriptor&) noexcept {
  const int error = push();
  if (error == 0) return 0;
  errno = -error;
  return -1;
}

int TlsTransport::shutdown(Descriptor& descriptor, int how) noexcept {
  if (how != SHUT_WR) reading_over_ = true;
  if (how != SHUT_RD && state_ == State::open && failure_.error == 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  if (how != SHUT_RD && push() == -EAGAIN) {
    end_wanted_ = true;
    descriptor.update_watch();
    if (how == SHUT_WR) return 0;
    how = SHUT_RD;
  }
  return ::shutdown(descriptor.fd(), how);
}

// What has come is read before: the system would answer it with a reset, and the peer might lose
// what was sent. Tickets come unasked.
void TlsTransport::closing(Descriptor&) noexcept {
  if (state_ == State::open && failure_.error == 0 && owner_ == ::getpid()) {
    ERR_clear_error();
    char rest[1024];
    std::size_t got = 0;
    SSL_read_ex(ssl_.get(), rest, sizeof rest, &got);
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    // A server's tickets may be on their way to a client that has not heard from it.
    const bool listen = !context_->server_side && !heard_ && !ended_ && write_error_ == 0 &&
                        SSL_version(ssl_.get()) == TLS1_3_VERSION;
    if (push() == -EAGAIN || listen) say_farewell(fd_, std::string(output_.view()), listen);
  }
  ssl_.reset();
  state_ = State::over;
  fd_ = -1;
  input_ = {};
  release(kept_input_);
  output_.release();
}

bool TlsTransport::wants(Direction direction, bool reader, bool writer) const noexcept {
  if (!ssl_) return direction == Direction::read ? reader : writer;
  const bool open = state_ == State::open;
  if (direction == Direction::write) return !output_.empty() || (open && writer);
  return output_.size() <= output_max && (reader || (writer && !open));
}

std::unique_ptr<uvlet::Transport> TlsTransport::accepted() const {
  return std::make_unique<TlsTransport>(context_, std::string());
}

void TlsTransport::fail(int error, const char* call) const {
  if (error != EPROTO || failure_.error != EPROTO) return;
  std::string what = failure_.in_handshake ? "TLS handshake" : call;
  if (failure_.in_handshake && !host_.empty()) what += " with " + host_;
  if (failure_.truncated) throw SslEofError(failure_.reason, what);
  if (failure_.reason.category() == verify_error(0).category())
    throw SslCertVerificationError(failure_.reason, what);
  throw SslError(failure_.reason, what);
}

}  // namespace aio::tls

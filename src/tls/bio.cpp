#include "bio.hpp"

#include "transport.hpp"

namespace aio::tls {
namespace {

TlsTransport& transport_of(BIO* bio) { return *static_cast<TlsTransport*>(BIO_get_data(bio)); }

}  // namespace

int Bio::read(BIO* bio, char* data, std::size_t bytes, std::size_t* got) {
  BIO_clear_retry_flags(bio);
  *got = 0;
  const ssize_t count = transport_of(bio).take_input(data, bytes);
  if (count == -EAGAIN) BIO_set_retry_read(bio);
  if (count <= 0) return 0;
  *got = static_cast<std::size_t>(count);
  return 1;
}

int Bio::write(BIO* bio, const char* data, std::size_t bytes, std::size_t* put) {
  BIO_clear_retry_flags(bio);
  *put = transport_of(bio).put_output(data, bytes) ? bytes : 0;
  return *put == bytes;
}

long Bio::control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return transport_of(bio).ended_;
  return command == BIO_CTRL_FLUSH;
}

BIO_METHOD* Bio::make_method() noexcept {
  BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "uvlet");
  if (!made) return nullptr;
  BIO_meth_set_read_ex(made, read);
  BIO_meth_set_write_ex(made, write);
  BIO_meth_set_ctrl(made, control);
  return made;
}

BIO* Bio::make(TlsTransport& transport) noexcept {
  static BIO_METHOD* const method = make_method();  // for the whole process
  BIO* bio = method ? BIO_new(method) : nullptr;
  if (!bio) return nullptr;
  BIO_set_data(bio, &transport);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace aio::tls

#pragma once

#include <openssl/bio.h>

namespace aio::tls {

class TlsTransport;

// The end of an SSL object that reads and writes its transport's buffers. Null: no memory.
struct Bio {
  static BIO* make(TlsTransport& transport) noexcept;

 private:
  static int read(BIO* bio, char* data, std::size_t bytes, std::size_t* got);
  static int write(BIO* bio, const char* data, std::size_t bytes, std::size_t* put);
  static long control(BIO* bio, int command, long, void*);
  static BIO_METHOD* make_method() noexcept;
};

}  // namespace aio::tls

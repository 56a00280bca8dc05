// uv_try_write, which needs no request where the socket takes everything.

#include "../libuv_server.hpp"
#include "servers.hpp"

#include <memory>
#include <string>

namespace {

struct Rest {
  uv_write_t request;
  std::string data;
};

void reply(uv_stream_t* stream, char* data, std::size_t bytes) {
  const uv_buf_t all = uv_buf_init(data, static_cast<unsigned>(bytes));
  const int put = uv_try_write(stream, &all, 1);
  if (put < 0 && put != UV_EAGAIN) return libuv_server::end(stream);
  const std::size_t sent = put < 0 ? 0 : static_cast<std::size_t>(put);
  if (sent == bytes) return;
  auto rest = std::make_unique<Rest>();
  rest->data.assign(data + sent, bytes - sent);
  rest->request.data = rest.get();
  const uv_buf_t left = uv_buf_init(rest->data.data(), static_cast<unsigned>(bytes - sent));
  const int rc = uv_write(&rest.release()->request, stream, &left, 1,
                          [](uv_write_t* done, int) { delete static_cast<Rest*>(done->data); });
  libuv_server::check(rc, "uv_write");
}

}  // namespace

void serve_raw_libuv(std::uint16_t port) { libuv_server::serve(port, reply); }

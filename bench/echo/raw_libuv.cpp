// libuv as its own documentation uses it, at its best: one buffer for all reads, and uv_try_write,
// which needs no request where the socket takes everything.

#include "servers.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <uv.h>

namespace {

char buffer[64 * 1024];

void check(int rc, const char* what) {
  if (rc >= 0) return;
  std::fprintf(stderr, "%s: %s\n", what, uv_strerror(rc));
  std::exit(1);
}

struct Rest {
  uv_write_t request;
  std::string data;
};

void end(uv_stream_t* stream) {
  auto* handle = reinterpret_cast<uv_handle_t*>(stream);
  if (uv_is_closing(handle)) return;
  uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

void reply(uv_stream_t* stream, std::size_t bytes) {
  const uv_buf_t all = uv_buf_init(buffer, static_cast<unsigned>(bytes));
  const int put = uv_try_write(stream, &all, 1);
  if (put < 0 && put != UV_EAGAIN) return end(stream);
  const std::size_t sent = put < 0 ? 0 : static_cast<std::size_t>(put);
  if (sent == bytes) return;
  auto rest = std::make_unique<Rest>();
  rest->data.assign(buffer + sent, bytes - sent);
  rest->request.data = rest.get();
  const uv_buf_t left = uv_buf_init(rest->data.data(), static_cast<unsigned>(bytes - sent));
  const int rc = uv_write(&rest.release()->request, stream, &left, 1,
                          [](uv_write_t* done, int) { delete static_cast<Rest*>(done->data); });
  check(rc, "uv_write");
}

void on_connection(uv_stream_t* listener, int status) {
  check(status, "accept");
  auto* connection = new uv_tcp_t;
  check(uv_tcp_init(listener->loop, connection), "uv_tcp_init");
  auto* stream = reinterpret_cast<uv_stream_t*>(connection);
  check(uv_accept(listener, stream), "uv_accept");
  const int rc = uv_read_start(
      stream,
      [](uv_handle_t*, std::size_t, uv_buf_t* into) { *into = uv_buf_init(buffer, sizeof buffer); },
      [](uv_stream_t* from, ssize_t got, const uv_buf_t*) {
        if (got < 0) return end(from);
        if (got > 0) reply(from, static_cast<std::size_t>(got));
      });
  check(rc, "uv_read_start");
}

}  // namespace

void serve_raw_libuv(std::uint16_t port) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t server;
  check(uv_tcp_init(loop, &server), "uv_tcp_init");
  sockaddr_in address;
  check(uv_ip4_addr("127.0.0.1", port, &address), "uv_ip4_addr");
  check(uv_tcp_bind(&server, reinterpret_cast<sockaddr*>(&address), 0), "uv_tcp_bind");
  check(uv_listen(reinterpret_cast<uv_stream_t*>(&server), 1024, on_connection), "uv_listen");
  uv_run(loop, UV_RUN_DEFAULT);
}

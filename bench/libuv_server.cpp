#include "libuv_server.hpp"

#include <cstdio>
#include <cstdlib>

namespace libuv_server {
namespace {

char buffer[64 * 1024];
OnData answer;

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
        if (got > 0) answer(from, buffer, static_cast<std::size_t>(got));
      });
  check(rc, "uv_read_start");
}

}  // namespace

void serve(std::uint16_t port, OnData on_data) {
  answer = on_data;
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t server;
  check(uv_tcp_init(loop, &server), "uv_tcp_init");
  sockaddr_in address;
  check(uv_ip4_addr("127.0.0.1", port, &address), "uv_ip4_addr");
  check(uv_tcp_bind(&server, reinterpret_cast<sockaddr*>(&address), 0), "uv_tcp_bind");
  check(uv_listen(reinterpret_cast<uv_stream_t*>(&server), 1024, on_connection), "uv_listen");
  uv_run(loop, UV_RUN_DEFAULT);
}

void check(int rc, const char* what) {
  if (rc >= 0) return;
  std::fprintf(stderr, "%s: %s\n", what, uv_strerror(rc));
  std::exit(1);
}

void end(uv_stream_t* connection) {
  auto* handle = reinterpret_cast<uv_handle_t*>(connection);
  if (uv_is_closing(handle)) return;
  uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

}  // namespace libuv_server

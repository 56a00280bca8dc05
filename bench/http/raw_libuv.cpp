#include "../libuv_server.hpp"
#include "servers.hpp"

#include <string>

namespace {

std::string answer;

void reply(uv_stream_t* connection, char*, std::size_t) {
  const uv_buf_t all = uv_buf_init(answer.data(), static_cast<unsigned>(answer.size()));
  if (uv_try_write(connection, &all, 1) < 0) libuv_server::end(connection);
}

}  // namespace

void serve_raw_libuv(std::uint16_t port) {
  answer = std::string("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n") +
           "Content-Length: " + std::to_string(sizeof greeting - 1) + "\r\n\r\n" + greeting;
  libuv_server::serve(port, reply);
}

#include "chunks.hpp"

#include <cstdio>

namespace aio::http::detail {

task<void> send_chunk(Connection& connection, std::string& buffer, std::string_view data,
                      std::optional<Duration> limit) {
  char size[20];
  const int digits = std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  buffer.assign(size, static_cast<std::size_t>(digits));
  if (data.size() > joined_bytes_max) {
    co_await connection.send(buffer, limit);
    co_await connection.send(data, limit);
    buffer = "\r\n";
  } else {
    buffer += data;
    buffer += "\r\n";
  }
  co_await connection.send(buffer, limit);
}

}  // namespace aio::http::detail

#pragma once

#include <cstddef>
#include <cstdint>
#include <uv.h>

// A server on libuv as its own documentation has it, at its best: one buffer for all reads.
namespace libuv_server {

// Answers what has come; `data` is overwritten by the next read.
using OnData = void (*)(uv_stream_t* connection, char* data, std::size_t bytes);

// Listens on this port of the loopback, for ever.
void serve(std::uint16_t port, OnData on_data);
// Ends the program if `rc` is an error.
void check(int rc, const char* what);
// Closes a connection, once.
void end(uv_stream_t* connection);

}  // namespace libuv_server

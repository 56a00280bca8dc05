#pragma once

#include <cstdint>

// The servers that are compared. Each listens on this port of the loopback, and sends back what it
// receives, for ever.
using EchoServer = void (*)(std::uint16_t port);

void serve_raw_epoll(std::uint16_t port);  // level-triggered; the measure of the others
void serve_raw_libuv(std::uint16_t port);  // uv_tcp_t
void serve_green(std::uint16_t port);      // green::serve; recv and sendall
void serve_aio(std::uint16_t port);        // aio::start_server
void serve_two_hubs(std::uint16_t port);   // green::serve on two hubs, with SO_REUSEPORT

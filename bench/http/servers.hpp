#pragma once

#include <cstdint>

// The servers that are compared. Each answers every GET with "Hello, World!", for ever, on this
// port of the loopback.
inline constexpr char greeting[] = "Hello, World!";

// The ceiling: whatever comes is taken for a request, and answered with the same bytes.
void serve_raw_libuv(std::uint16_t port);

// Ours, with the parser, the router and all limits.
void serve_function(std::uint16_t port);   // the handler is a plain function
void serve_coroutine(std::uint16_t port);  // a coroutine
void serve_green(std::uint16_t port);      // green::http::server

// Other people's; they return if they are not here.
void serve_nginx(std::uint16_t port);
void serve_photon(std::uint16_t port);
void serve_go(std::uint16_t port);
void serve_node(std::uint16_t port);
void serve_aiohttp(std::uint16_t port);
void serve_eventlet(std::uint16_t port);

#pragma once

// Bodies whose length is not known beforehand: the chunked coding, written. Source: RFC 9112, 7.1.

#include "connection.hpp"

#include <aio/task.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace aio::http::detail {

// What is no longer goes out in one piece with what stands before it.
inline constexpr std::size_t joined_bytes_max = 16 * 1024;

inline constexpr std::string_view last_chunk = "0\r\n\r\n";

// `data`, which is not empty, as a chunk; `buffer` is for its use. The limit is for each piece.
task<void> send_chunk(Connection& connection, std::string& buffer, std::string_view data,
                      std::optional<Duration> limit);

}  // namespace aio::http::detail

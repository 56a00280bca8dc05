#pragma once

// The small notations of HTTP: statuses, escapes, forms, dates.

#include <uvlet/config.hpp>

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aio::http::detail {

// "Not Found"; "" for a status that has no name.
UVLET_API std::string_view reason_of(int status) noexcept;

// "%41" and, in forms, "+" undone; what is no escape stays.
UVLET_API std::string decoded(std::string_view text, bool form = false);

// "a=b&c" as pairs, decoded.
UVLET_API std::vector<std::pair<std::string, std::string>> parse_form(std::string_view text);

// The value of a cookie in a Cookie header.
UVLET_API std::optional<std::string> find_cookie(std::string_view header, std::string_view name);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
UVLET_API std::string format_date(std::time_t time);
UVLET_API std::optional<std::time_t> parse_date(const std::string& text);
// "06/Nov/1994:08:49:37 +0000", as in the common log format.
UVLET_API std::string format_log_date(std::time_t time);
// The current one, as in headers; made once a second.
UVLET_API std::string_view date_now();

// "name: value" and the end of the line; both are checked already.
void append_field(std::string& output, std::string_view name, std::string_view value);

// Source: RFC 4648, 4.
UVLET_API std::string base64(std::string_view bytes);

// Blanks at the ends taken off.
std::string_view trimmed(std::string_view text) noexcept;

// What stands before the mark, or all; both are taken off the front of `text`.
std::string_view take_until(std::string_view& text, char mark) noexcept;

// With small letters in place of ASCII's capitals.
std::string lower_case(std::string_view text);

// Whether it is a token (RFC 9110, 5.6.2): a method, the name of a field.
bool is_token(std::string_view text) noexcept;

}  // namespace aio::http::detail

#pragma once

#include "../../src/aio/http/parser.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace test {

using aio::http::detail::Limits;
using aio::http::detail::Parser;
using aio::http::detail::ProtocolError;

inline std::string text_of(const aio::http::detail::Head& head) {
  std::string text = head.status == 0 ? head.method + " " + head.target
                                      : std::to_string(head.status) + " " + head.reason;
  text += " 1." + std::to_string(head.minor);
  if (head.keep_alive) text += " keep";
  if (head.chunked) text += " chunked";
  if (head.upgrade) text += " upgrade";
  if (head.expects_continue) text += " expects";
  if (head.content_length) text += " length=" + std::to_string(*head.content_length);
  for (const auto& [name, value] : head.headers) text += " {" + name + "=" + value + "}";
  return text;
}

// What a connection that brings `pieces` means: heads, bodies, ends, and at last how it ended.
inline std::string parse(const std::vector<std::string_view>& pieces,
                         Parser::Of of = Parser::Of::requests, bool no_body = false,
                         const Limits& limits = Limits()) {
  Parser parser(of, limits);
  if (no_body) parser.expect_no_body();
  std::string text;
  std::string unused;
  bool in_data = false;
  try {
    for (const std::string_view piece : pieces) {
      unused += piece;
      std::string_view input = unused;
      for (;;) {
        const Parser::Event event = parser.next(input);
        if (event == Parser::Event::more) break;
        if (event == Parser::Event::data && !in_data) text += "[";
        if (event != Parser::Event::data && in_data) text += "]";
        in_data = event == Parser::Event::data;
        if (event == Parser::Event::head) text += "(" + text_of(parser.head()) + ")";
        if (event == Parser::Event::data) text += parser.data();
        if (event == Parser::Event::end) text += ".";
      }
      unused.erase(0, unused.size() - input.size());
    }
    if (in_data) text += "]";
    text += parser.finish() ? "complete" : "cut short";
  } catch (const ProtocolError& error) {
    if (in_data) text += "]";
    text += "error " + std::to_string(error.status);
  }
  return text;
}

inline std::string parse(std::string_view bytes, Parser::Of of = Parser::Of::requests,
                         bool no_body = false, const Limits& limits = Limits()) {
  return parse(std::vector<std::string_view>{bytes}, of, no_body, limits);
}

}  // namespace test

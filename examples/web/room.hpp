#pragma once

#include <aio/queue.hpp>
#include <aio/websocket.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <set>
#include <string>

// Who is in it gets what anybody says, in one order.
class Room {
 public:
  // Until the member leaves.
  aio::task<void> join(aio::web::WebSocketResponse socket, std::string name);
  void say(const std::string& name, const std::string& text);

  // [{"name": "...", "text": "..."}, ...]: the last ones.
  aio::http::json said() const { return aio::http::json(said_); }
  std::size_t members() const { return members_.size(); }

 private:
  // Who does not read holds up nobody: what is said waits for each in a queue of his own.
  using Unread = aio::Queue<std::string>;

  static aio::task<void> send_all(aio::web::WebSocketResponse socket,
                                  std::shared_ptr<Unread> unread);

  std::set<std::shared_ptr<Unread>> members_;
  std::deque<aio::http::json> said_;
};

#include "room.hpp"

#include <aio/future.hpp>

#include <utility>

namespace {

constexpr std::size_t unread_max = 100;  // of a member; more is lost to him
constexpr std::size_t kept = 50;

}  // namespace

aio::task<void> Room::send_all(aio::web::WebSocketResponse socket, std::shared_ptr<Unread> unread) {
  try {
    for (;;) {
      std::string text = co_await unread->get();
      co_await socket.send_str(std::move(text));
    }
  } catch (const aio::http::WebSocketError&) {  // he has left: join() sees it too
  }
}

aio::task<void> Room::join(aio::web::WebSocketResponse socket, std::string name) {
  struct Membership {
    Membership(Room& where, std::shared_ptr<Unread> who, aio::Future<void> sends)
        : room(where), unread(std::move(who)), sender(std::move(sends)) {
      room.members_.insert(unread);
    }
    ~Membership() {
      room.members_.erase(unread);
      sender.cancel();
    }
    Room& room;
    std::shared_ptr<Unread> unread;
    aio::Future<void> sender;
  };
  auto unread = std::make_shared<Unread>(unread_max);
  const Membership membership(*this, unread, aio::create_task(send_all(socket, unread)));
  for (const aio::http::json& message : said_)
    if (!unread->full()) unread->put_nowait(message.dump());
  for (;;) {
    const std::optional<aio::web::Message> message = co_await socket.next();
    if (!message) co_return;
    if (message->type == aio::web::MsgType::text) say(name, message->data);
  }
}

void Room::say(const std::string& name, const std::string& text) {
  const aio::http::json message{{"name", name}, {"text", text}};
  said_.push_back(message);
  if (said_.size() > kept) said_.pop_front();
  for (const std::shared_ptr<Unread>& unread : members_)
    if (!unread->full()) unread->put_nowait(message.dump());
}

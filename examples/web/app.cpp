#include "app.hpp"

#include "room.hpp"

#include <green/awaitlet.hpp>

#include <memory>

namespace web = aio::web;
using aio::task;
using aio::http::json;

namespace {

// Coroutines wait with co_await.
task<web::WebSocketResponse> chat(web::Request& request) {
  web::WebSocketOptions options;
  options.heartbeat = 30;
  options.max_msg_size = 10'000;
  web::WebSocketResponse socket(options);
  co_await socket.prepare(request);
  co_await request.app().get<std::shared_ptr<Room>>("room")->join(
      socket, request.query("name").value_or("somebody"));
  co_return socket;
}

// A plain function just blocks: here for the body of the request.
web::Response say(web::Request& request) {
  const json message = green::awaitlet(request.json());
  if (!message.is_object() || !message.contains("text") || !message["text"].is_string())
    throw web::HTTPException(400, "a message is {\"text\": \"...\"}");
  request.app().get<std::shared_ptr<Room>>("room")->say("the API", message["text"]);
  return web::Response("", 204);
}

web::Response list(web::Request& request) {
  const auto& room = request.app().get<std::shared_ptr<Room>>("room");
  return web::json_response({{"messages", room->said()}, {"members", room->members()}});
}

}  // namespace

web::Application make_app(const std::string& folder) {
  web::Application app;
  app.set("room", std::make_shared<Room>());
  app.router().add_get("/chat", chat);
  app.router().add_get("/api/messages", list);
  app.router().add_post("/api/messages", say);
  app.router().add_get(
      "/", [folder](web::Request&) { return web::FileResponse(folder + "/index.html"); });
  app.router().add_static("/static", folder);
  return app;
}

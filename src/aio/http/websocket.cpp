#include <aio/http/websocket.hpp>
namespace aio::http { WebSocketOptions::WebSocketOptions() = default; }

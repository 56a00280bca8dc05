#pragma once

// aiohttp's WebSockets, both ends.

#include <aio/http/client.hpp>
#include <aio/http/websocket.hpp>
#include <aio/web/websocket.hpp>

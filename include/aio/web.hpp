#pragma once

// aiohttp's server.

#include <aio/web/application.hpp>
#include <aio/web/request.hpp>
#include <aio/web/response.hpp>
#include <aio/web/runner.hpp>
#include <aio/web/websocket.hpp>

#pragma once

#include <aio/web.hpp>

#include <string>

// A page with a chat: its files from `folder`, a JSON API, and a WebSocket for each who looks at
// it.
aio::web::Application make_app(const std::string& folder);

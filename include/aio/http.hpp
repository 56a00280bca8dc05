#pragma once

// aiohttp's client. In the library uvlet-http.

#include <aio/http/client.hpp>
#include <aio/http/errors.hpp>
#include <aio/http/form.hpp>
#include <aio/http/headers.hpp>
#include <aio/http/json.hpp>
#include <aio/http/options.hpp>
#include <aio/http/response.hpp>

#pragma once

// Tasks on libuv, with asyncio's names.

#include <aio/exceptions.hpp>
#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/getaddrinfo.hpp>
#include <aio/sleep.hpp>
#include <aio/stream.hpp>
#include <aio/task.hpp>
#include <aio/to_thread.hpp>
#include <aio/uv_request.hpp>
#include <aio/wait_for.hpp>
#include <uvlet/address.hpp>

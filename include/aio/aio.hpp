#pragma once

// Tasks on libuv, with asyncio's names.

#include <aio/as_completed.hpp>
#include <aio/barrier.hpp>
#include <aio/condition.hpp>
#include <aio/context_var.hpp>
#include <aio/event.hpp>
#include <aio/exceptions.hpp>
#include <aio/fs.hpp>
#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/getaddrinfo.hpp>
#include <aio/lock.hpp>
#include <aio/queue.hpp>
#include <aio/run_coroutine_threadsafe.hpp>
#include <aio/semaphore.hpp>
#include <aio/server.hpp>
#include <aio/shield.hpp>
#include <aio/signal_receiver.hpp>
#include <aio/sleep.hpp>
#include <aio/ssl.hpp>
#include <aio/stream.hpp>
#include <aio/subprocess.hpp>
#include <aio/task.hpp>
#include <aio/task_group.hpp>
#include <aio/tasks.hpp>
#include <aio/timeout.hpp>
#include <aio/to_thread.hpp>
#include <aio/uv_request.hpp>
#include <aio/wait.hpp>
#include <aio/wait_for.hpp>
#include <aio/wait_signal.hpp>
#include <uvlet/address.hpp>

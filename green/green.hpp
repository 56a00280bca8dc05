#pragma once

// Green threads, with eventlet's names, and the bridge to coroutines.

#include <green/awaitlet.hpp>
#include <green/backdoor.hpp>
#include <green/barrier.hpp>
#include <green/condition_variable.hpp>
#include <green/convenience.hpp>
#include <green/dagpool.hpp>
#include <green/db_pool.hpp>
#include <green/debug.hpp>
#include <green/dns.hpp>
#include <green/event.hpp>
#include <green/file.hpp>
#include <green/future.hpp>
#include <green/greenpool.hpp>
#include <green/greenthread.hpp>
#include <green/latch.hpp>
#include <green/local.hpp>
#include <green/message.hpp>
#include <green/mutex.hpp>
#include <green/os.hpp>
#include <green/owned_fd.hpp>
#include <green/pools.hpp>
#include <green/queue.hpp>
#include <green/select.hpp>
#include <green/semaphore.hpp>
#include <green/socket.hpp>
#include <green/strangler.hpp>
#include <green/stream_server.hpp>
#include <green/subprocess.hpp>
#include <green/thread.hpp>
#include <green/timeout.hpp>
#include <green/tpool.hpp>
#include <green/trampoline.hpp>
#include <green/transitions.hpp>

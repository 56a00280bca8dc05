#pragma once

// The core: the scheduler that green threads and coroutines share.

#include <uvlet/address.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/sleep.hpp>
#include <uvlet/timeout.hpp>
#include <uvlet/waiter.hpp>

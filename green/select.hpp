#pragma once

// The readiness of many descriptors: any of the process, those of our sockets as well. They keep
// their flags, and others may wait for them meanwhile; closing one meanwhile wakes nobody.

#include <green/awaitlet.hpp>

#include <optional>
#include <poll.h>
#include <span>
#include <tuple>
#include <vector>

namespace green::select {

using Ready = std::tuple<std::vector<int>, std::vector<int>, std::vector<int>>;

// Those that can be read, written, or are in an exceptional state, as soon as there is any; none if
// the time is over. What hung up or failed can be read and written. A timeout of zero lets others
// run once. Throws EBADF for a closed descriptor. Not to be used along with `using namespace
// green`, because of ::select. Blocks the green thread. Cancel point.
UVLET_API Ready select(std::vector<int> read, std::vector<int> write, std::vector<int> except,
                       std::optional<Duration> timeout = {});
UVLET_API aio::task<Ready> select_async(std::vector<int> read, std::vector<int> write,
                                        std::vector<int> except,
                                        std::optional<Duration> timeout = {});

// poll(2): fills in `revents`, and gives how many are not 0. A negative number is skipped. Throws
// EBADF for a closed descriptor. `interests` must outlive the wait.
// Blocks the green thread. Cancel point.
UVLET_API int poll(std::span<pollfd> interests, std::optional<Duration> timeout = {});
UVLET_API aio::task<int> poll_async(std::span<pollfd> interests,
                                    std::optional<Duration> timeout = {});

}  // namespace green::select

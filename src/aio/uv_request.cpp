#include <aio/uv_request.hpp>

#include "../uvlet/threads.hpp"

namespace aio::detail {

void thread_pool_used() noexcept { uvlet::thread_pool_used(); }

}  // namespace aio::detail

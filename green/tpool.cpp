#include <green/tpool.hpp>

namespace green::tpool {

void set_num_threads(int threads) { aio::detail::set_thread_pool_size(threads); }

}  // namespace green::tpool

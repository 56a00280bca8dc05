#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <dirent.h>
#include <stdexcept>
#include <string>

namespace uvlet::inline UVLET_ABI {
namespace {

std::atomic<bool> pool_used{false};
std::atomic<int> own_threads{0};

// libuv's own rule: UV_THREADPOOL_SIZE, 1 to 1024, else 4.
int pool_size() noexcept {
  const char* text = std::getenv("UV_THREADPOOL_SIZE");
  return text ? std::clamp(std::atoi(text), 1, 1024) : 4;
}

}  // namespace

void thread_pool_used() noexcept { pool_used = true; }
void thread_pool_gone() noexcept { pool_used = false; }

void set_thread_pool_size(int threads) {
  if (threads < 1)
    throw std::invalid_argument("the thread pool's size is not positive: " +
                                std::to_string(threads));
  if (pool_used)
    throw std::logic_error("the thread pool's size is settled by its first use, which has been");
  setenv("UV_THREADPOOL_SIZE", std::to_string(threads).c_str(), 1);
}

void own_threads_changed(int by) noexcept { own_threads += by; }

int other_threads() noexcept {
  DIR* folder = opendir("/proc/self/task");
  if (!folder) return 1;  // cannot tell: as if there were one
  int threads = 0;
  while (dirent* entry = readdir(folder))
    if (entry->d_name[0] != '.') ++threads;
  closedir(folder);
  return threads - 1 - own_threads.load() - (pool_used.load() ? pool_size() : 0);
}

}  // namespace uvlet::inline UVLET_ABI

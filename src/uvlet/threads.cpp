#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <dirent.h>

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

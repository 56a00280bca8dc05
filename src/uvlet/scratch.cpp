#include <uvlet/scratch.hpp>

#include <cstdlib>

namespace uvlet::inline UVLET_ABI {
namespace {

struct Buffer {
  char* data = nullptr;
  std::size_t size = 0;

  char* at_least(std::size_t bytes) noexcept {
    if (bytes <= size) return data;
    release();
    data = static_cast<char*>(std::malloc(bytes));
    if (data) size = bytes;
    return data;
  }
  void release() noexcept {
    std::free(data);
    data = nullptr;
    size = 0;
  }
};

constinit thread_local Buffer received;
constinit thread_local Buffer transported;

struct Release {
  ~Release() {
    received.release();
    transported.release();
  }
};

}  // namespace

char* scratch(std::size_t bytes) noexcept {
  return received.at_least(bytes < scratch_bytes ? scratch_bytes : bytes);
}

char* transport_scratch(std::size_t bytes) noexcept { return transported.at_least(bytes); }

void make_scratch() {
  static thread_local Release at_end;
  (void)&at_end;
}

}  // namespace uvlet::inline UVLET_ABI

#pragma once

// io_uring as a vector of receives that do not block.

#include <uvlet/config.hpp>
#include <uvlet/descriptor.hpp>
#include <uvlet/hub.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <linux/io_uring.h>
#include <memory>

namespace uvlet::inline UVLET_ABI {

// None of the calls is ever under way: each is made, or failed with EAGAIN, when receive() returns.
// It belongs to the OS thread that made it, and has no descriptor that others could close.
class Uring {
 public:
  static constexpr unsigned calls_max = 32;

  // Null where the system has none for us, or UVLET_IO_URING is "off".
  static std::unique_ptr<Uring> make() noexcept;
  ~Uring();
  Uring(const Uring&) = delete;

  // Makes the first of these calls, in their order; gives how many. 0: the ring is of no use any
  // more. `count` is at most calls_max.
  unsigned receive(ReceiveCall* calls, unsigned count) noexcept;

 private:
  Uring() noexcept = default;
  bool set_up() noexcept;
  bool map(const io_uring_params& made) noexcept;
  bool register_ring() noexcept;
  void prepare(const ReceiveCall& call, unsigned number) noexcept;
  void enter(unsigned submit, unsigned complete, unsigned flags) noexcept;
  unsigned collect(ReceiveCall* calls) noexcept;

  int fd_ = -1;          // until the ring is registered
  unsigned number_ = 0;  // of the ring, among those of this OS thread
  std::uint64_t born_after_ = forks.load(std::memory_order_relaxed);
  void* rings_ = nullptr;
  std::size_t rings_bytes_ = 0;
  io_uring_sqe* submissions_ = nullptr;
  std::size_t submissions_bytes_ = 0;
  io_uring_cqe* completions_ = nullptr;
  unsigned* submission_head_ = nullptr;  // the kernel's
  unsigned* submission_tail_ = nullptr;
  unsigned submission_mask_ = 0;
  unsigned* completion_head_ = nullptr;
  unsigned* completion_tail_ = nullptr;  // the kernel's
  unsigned completion_mask_ = 0;
};

}  // namespace uvlet::inline UVLET_ABI

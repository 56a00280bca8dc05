#pragma once

// io_uring as a vector of system calls that do not block.

#include <uvlet/config.hpp>
#include <uvlet/descriptor.hpp>

#include <cstddef>
#include <linux/io_uring.h>
#include <memory>

namespace uvlet::inline UVLET_ABI {

// The calls of sockets that are made by one system call. None of them is ever under way: each is
// made, or failed with EAGAIN, when make() returns. It belongs to the OS thread that made it.
class Uring {
 public:
  static constexpr unsigned calls_max = 64;

  // Null where the system has none for us, or UVLET_IO_URING is "off".
  static std::unique_ptr<Uring> make() noexcept;
  ~Uring();
  Uring(const Uring&) = delete;

  // Makes the first of these calls, in their order; gives how many. 0: the ring is of no use any
  // more. `count` is at most calls_max.
  unsigned make(SocketCall* calls, unsigned count) noexcept;

 private:
  Uring() noexcept = default;
  bool set_up() noexcept;
  bool map(const io_uring_params& made) noexcept;
  void prepare(const SocketCall& call, unsigned number) noexcept;
  void enter(unsigned submit, unsigned complete) noexcept;
  unsigned collect(SocketCall* calls) noexcept;

  int fd_ = -1;
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

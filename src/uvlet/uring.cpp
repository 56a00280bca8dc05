#include "uring.hpp"

#include "valgrind.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace uvlet::inline UVLET_ABI {
namespace {

bool wanted() noexcept {
#if defined(UVLET_VALGRIND)
  if (RUNNING_ON_VALGRIND) return false;  // it does not see what the kernel writes
#endif
  const char* const setting = std::getenv("UVLET_IO_URING");
  return !setting || std::string_view(setting) != "off";
}

void* map_ring(int fd, std::size_t bytes, off_t what) noexcept {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
  return memory == MAP_FAILED ? nullptr : memory;
}

template <class T>
T* at(void* rings, std::uint32_t offset) noexcept {
  return reinterpret_cast<T*>(static_cast<char*>(rings) + offset);
}

}  // namespace

std::unique_ptr<Uring> Uring::make() noexcept {
  if (!wanted()) return nullptr;
  std::unique_ptr<Uring> ring(new (std::nothrow) Uring);
  return ring && ring->set_up() ? std::move(ring) : nullptr;
}

// The flags came with Linux 6.0. Before it, too, there were rings; some of those kept a call that
// had to wait, whatever was asked.
bool Uring::set_up() noexcept {
  io_uring_params wished{};
  wished.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN;
  fd_ = static_cast<int>(syscall(SYS_io_uring_setup, calls_max, &wished));
  return fd_ >= 0 && (wished.features & IORING_FEAT_SINGLE_MMAP) && map(wished) && register_ring();
}

bool Uring::map(const io_uring_params& made) noexcept {
  const io_sqring_offsets& sq = made.sq_off;
  const io_cqring_offsets& cq = made.cq_off;
  rings_bytes_ = std::max(sq.array + made.sq_entries * sizeof(unsigned),
                          cq.cqes + made.cq_entries * sizeof(io_uring_cqe));
  rings_ = map_ring(fd_, rings_bytes_, IORING_OFF_SQ_RING);
  submissions_bytes_ = made.sq_entries * sizeof(io_uring_sqe);
  submissions_ = static_cast<io_uring_sqe*>(map_ring(fd_, submissions_bytes_, IORING_OFF_SQES));
  if (!rings_ || !submissions_) return false;
  submission_head_ = at<unsigned>(rings_, sq.head);
  submission_tail_ = at<unsigned>(rings_, sq.tail);
  submission_mask_ = *at<unsigned>(rings_, sq.ring_mask);
  completion_head_ = at<unsigned>(rings_, cq.head);
  completion_tail_ = at<unsigned>(rings_, cq.tail);
  completion_mask_ = *at<unsigned>(rings_, cq.ring_mask);
  completions_ = at<io_uring_cqe>(rings_, cq.cqes);
  unsigned* const order = at<unsigned>(rings_, sq.array);
  for (unsigned i = 0; i < made.sq_entries; ++i) order[i] = i;
  return true;
}

Uring::~Uring() {
  if (submissions_) munmap(submissions_, submissions_bytes_);
  if (rings_) munmap(rings_, rings_bytes_);
  if (fd_ >= 0) ::close(fd_);
}

// Its number is nobody's to close, or to take for another's.
bool Uring::register_ring() noexcept {
  io_uring_rsrc_update ring{};
  ring.offset = ~0u;  // wherever there is room
  ring.data = static_cast<std::uint64_t>(fd_);
  if (syscall(SYS_io_uring_register, fd_, IORING_REGISTER_RING_FDS, &ring, 1) != 1) return false;
  number_ = ring.offset;
  ::close(std::exchange(fd_, -1));
  return true;
}

// MSG_DONTWAIT, on a socket that is non-blocking as well, fails a call that would have to wait; it
// is not kept.
void Uring::prepare(const ReceiveCall& call, unsigned number) noexcept {
  io_uring_sqe& entry = submissions_[(*submission_tail_ + number) & submission_mask_];
  entry = {};
  entry.opcode = IORING_OP_RECV;
  entry.fd = call.fd;
  entry.addr = reinterpret_cast<std::uintptr_t>(call.data);
  entry.len = static_cast<std::uint32_t>(std::min<std::size_t>(call.bytes, INT32_MAX));
  entry.msg_flags = MSG_DONTWAIT;
  entry.user_data = number;
}

// The memory of the ring is the parent's too: a forked child leaves it alone.
unsigned Uring::receive(ReceiveCall* calls, unsigned count) noexcept {
  if (born_after_ != forks.load(std::memory_order_relaxed)) return 0;
  for (unsigned i = 0; i < count; ++i) prepare(calls[i], i);
  const unsigned first = *submission_tail_;
  __atomic_store_n(submission_tail_, first + count, __ATOMIC_RELEASE);
  enter(count, 0, 0);
  // The kernel's own count tells what it took, whatever the call said.
  const unsigned taken = __atomic_load_n(submission_head_, __ATOMIC_ACQUIRE) - first;
  __atomic_store_n(submission_tail_, first + taken, __ATOMIC_RELEASE);
  for (unsigned done = collect(calls); done < taken; done += collect(calls))
    enter(0, taken - done, IORING_ENTER_GETEVENTS);
  return taken;
}

void Uring::enter(unsigned submit, unsigned complete, unsigned flags) noexcept {
  syscall(SYS_io_uring_enter, number_, submit, complete, flags | IORING_ENTER_REGISTERED_RING,
          nullptr, 0);
}

unsigned Uring::collect(ReceiveCall* calls) noexcept {
  const unsigned first = *completion_head_;
  const unsigned end = __atomic_load_n(completion_tail_, __ATOMIC_ACQUIRE);
  for (unsigned next = first; next != end; ++next) {
    const io_uring_cqe& done = completions_[next & completion_mask_];
    calls[done.user_data].result = done.res;
  }
  __atomic_store_n(completion_head_, end, __ATOMIC_RELEASE);
  return end - first;
}

}  // namespace uvlet::inline UVLET_ABI

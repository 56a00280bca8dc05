#include <uvlet/foreign_wait.hpp>
#include <uvlet/hub.hpp>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <sys/epoll.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace uvlet::inline UVLET_ABI {
namespace {

static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLPRI == EPOLLPRI);

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// What is no more than a file is always ready, and cannot be watched: EPERM.
void watch(int set, int fd, short events) {
  epoll_event event{};
  event.events = static_cast<unsigned short>(events);
  if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0 || errno == EPERM) return;
  throw_errno("descriptor " + std::to_string(fd) + " cannot be waited for");
}

// Each descriptor once, with all that is asked of it.
void watch_all(int set, std::span<const pollfd> interests) {
  std::vector<pollfd> sorted(interests.begin(), interests.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const pollfd& a, const pollfd& b) { return a.fd < b.fd; });
  for (auto at = sorted.begin(); at != sorted.end();) {
    const int fd = at->fd;
    int events = 0;
    for (; at != sorted.end() && at->fd == fd; ++at) events |= at->events;
    if (fd >= 0) watch(set, fd, static_cast<short>(events));
  }
}

// The calls that wait on this OS thread. Who ends with the thread may still wait.
List<ForeignCall>& calls() noexcept {
  union Immortal {
    Immortal() noexcept : list() {}
    ~Immortal() {}
    List<ForeignCall> list;
  };
  static thread_local Immortal here;
  return here.list;
}

const char* role(const pollfd& interest) noexcept {
  return interest.events & POLLOUT ? "writer" : "reader";
}

}  // namespace

ForeignWait::~ForeignWait() {
  if (set_) IoWait::cancel();
}

void ForeignWait::suspend(Hub& hub) {
  if (settled()) return make_ready();
  const int set = epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) throw_errno("epoll_create1");
  try {
    watch_all(set, interests());
    set_ = std::make_unique<Descriptor>(set, false);
  } catch (...) {
    ::close(set);
    throw;
  }
  descriptor_ = set_.get();
  IoWait::suspend(hub);
}

std::string ForeignWait::subject() const {
  std::string text;
  for (const pollfd& interest : interests())
    text +=
        (text.empty() ? "descriptor " : ", ") + std::to_string(interest.fd) + ": " + role(interest);
  return text;
}

ForeignCall::ForeignCall(int fd, Direction direction, std::optional<Duration> limit) noexcept
    : ForeignWait(limit),
      interest_{fd, static_cast<short>(direction == Direction::read ? POLLIN : POLLOUT), 0} {}

// Who waits for the same already.
const ForeignCall* ForeignCall::rival() const noexcept {
  for (const ForeignCall* call : calls()) {
    const Root* waits = call->root();
    if (waits && !waits->linked() && call->interest_.fd == interest_.fd &&
        call->interest_.events == interest_.events &&
        call->forks_ == forks.load(std::memory_order_relaxed))
      return call;
  }
  return nullptr;
}

bool ForeignCall::ready() noexcept { return !rival() && ForeignWait::ready(); }

void ForeignCall::suspend(Hub& hub) {
  if (const ForeignCall* first = rival())
    refuse_second(fd(), interest_.events & POLLOUT ? Direction::write : Direction::read,
                  first->root(), root());
  ForeignWait::suspend(hub);
  forks_ = forks.load(std::memory_order_relaxed);
  calls().push_back(this);
}

const char* ForeignCall::describe() const noexcept {
  return interest_.events & POLLOUT ? "a writable descriptor" : "a readable descriptor";
}

}  // namespace uvlet::inline UVLET_ABI

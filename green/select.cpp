#include <green/select.hpp>

#include <aio/sleep.hpp>
#include <uvlet/foreign_wait.hpp>

#include <cerrno>
#include <system_error>

namespace green::select {
namespace {

constexpr short hung_up = POLLHUP | POLLERR;

class PollWait final : public uvlet::Operation<PollWait, uvlet::ForeignWait> {
 public:
  PollWait(std::span<pollfd> interests, std::optional<Duration> limit) noexcept
      : Operation(limit), interests_(interests) {}
  PollWait(PollWait&&) = default;

  int result() {
    if (error_number == ETIMEDOUT) {  // what came in the same turn counts
      error_number = 0;
      if (!attempt()) return 0;
    }
    check("poll");
    return count_;
  }
  const char* describe() const noexcept override { return "a poll of descriptors"; }

 private:
  bool attempt() noexcept override {
    count_ = ::poll(interests_.data(), interests_.size(), 0);
    if (count_ < 0) return failed(errno);
    if (count_ == 0) return false;
    for (const pollfd& interest : interests_)
      if (interest.revents & POLLNVAL) return failed(EBADF);
    return true;
  }
  std::span<const pollfd> interests() const noexcept override { return interests_; }

  std::span<pollfd> interests_;
  int count_ = 0;
};

bool may_wait() noexcept { return uvlet::Hub::get().running()->kind != uvlet::Root::Kind::loop; }

void add(std::vector<pollfd>& interests, const std::vector<int>& descriptors, short events) {
  for (const int fd : descriptors) {
    if (fd < 0) throw std::system_error(EBADF, std::generic_category(), "select");
    interests.push_back({fd, events, 0});
  }
}

// The descriptors that have one of the events.
std::vector<int> ready_among(std::span<const pollfd> interests, short events) {
  std::vector<int> ready;
  for (const pollfd& interest : interests)
    if (interest.revents & events) ready.push_back(interest.fd);
  return ready;
}

}  // namespace

aio::task<int> poll_async(std::span<pollfd> interests, std::optional<Duration> timeout) {
  if (timeout && timeout->seconds() == 0 && may_wait()) {
    PollWait now(interests, timeout);
    if (const int ready = co_await std::move(now); ready > 0) co_return ready;
    co_await aio::sleep(0);
  }
  PollWait wait(interests, timeout);
  co_return co_await std::move(wait);
}

int poll(std::span<pollfd> interests, std::optional<Duration> timeout) {
  return detail::drive(poll_async(interests, timeout));
}

aio::task<Ready> select_async(std::vector<int> read, std::vector<int> write,
                              std::vector<int> except, std::optional<Duration> timeout) {
  std::vector<pollfd> interests;
  add(interests, read, POLLIN);
  add(interests, write, POLLOUT);
  add(interests, except, POLLPRI);
  co_await poll_async(interests, timeout);
  const std::span<const pollfd> all(interests);
  Ready ready(ready_among(all.subspan(0, read.size()), POLLIN | hung_up),
              ready_among(all.subspan(read.size(), write.size()), POLLOUT | hung_up),
              ready_among(all.subspan(read.size() + write.size()), POLLPRI));
  auto& [readable, writable, exceptional] = ready;
  if (readable.empty() && writable.empty() && exceptional.empty())  // nobody else will say so
    exceptional = ready_among(all.subspan(read.size() + write.size()), hung_up);
  co_return ready;
}

Ready select(std::vector<int> read, std::vector<int> write, std::vector<int> except,
             std::optional<Duration> timeout) {
  return detail::drive(select_async(std::move(read), std::move(write), std::move(except), timeout));
}

}  // namespace green::select

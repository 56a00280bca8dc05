#include <green/trampoline.hpp>

#include <cerrno>
#include <stdexcept>

namespace green {

bool detail::Trampoline::attempt() noexcept {
  pollfd now = interests().front();
  if (fd() < 0) return failed(EBADF);
  const int count = ::poll(&now, 1, 0);
  if (count < 0) return failed(errno);
  if (now.revents & POLLNVAL) return failed(EBADF);
  return count > 0;
}

detail::Trampoline trampoline_async(int fd, bool read, bool write,
                                    std::optional<Duration> timeout) {
  if (read == write)
    throw std::logic_error(read ? "trampoline: for reading and writing at once"
                                : "trampoline: for neither reading nor writing");
  return {fd, read ? uvlet::Direction::read : uvlet::Direction::write, timeout};
}

}  // namespace green

#pragma once

#include <green/awaitlet.hpp>
#include <uvlet/foreign_wait.hpp>

#include <optional>

namespace green {

namespace detail {

class UVLET_API Trampoline final : public uvlet::Operation<Trampoline, uvlet::ForeignCall> {
 public:
  using Operation::Operation;
  Trampoline(Trampoline&&) = default;
  void result() const { check("trampoline"); }

 private:
  bool attempt() noexcept override;
};

}  // namespace detail

// Waits until a descriptor of somebody else can be read, or written, or has failed. It may block,
// and its flags stay as they are. Throws logic_error for both or neither, and for a second
// simultaneous reader or writer; EBADF for a closed one; ETIMEDOUT when the time is over. Closing
// it meanwhile wakes nobody. Blocks the green thread. Cancel point. Source:
// eventlet.hubs.trampoline.
UVLET_API detail::Trampoline trampoline_async(int fd, bool read, bool write,
                                              std::optional<Duration> timeout = {});
inline void trampoline(int fd, bool read, bool write, std::optional<Duration> timeout = {}) {
  uvlet::block(trampoline_async(fd, read, write, timeout));
}

}  // namespace green

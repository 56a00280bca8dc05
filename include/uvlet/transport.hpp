#pragma once

// What the bytes of a descriptor pass through on their way: encryption.

#include <uvlet/config.hpp>

#include <cstddef>
#include <memory>
#include <sys/types.h>

namespace uvlet::inline UVLET_ABI {

class Descriptor;
enum class Direction;

// The calls of a non-blocking socket, made in place of the system's: they give what those give, or
// -1 with the errno, where EAGAIN means to try again once the descriptor is ready as wants() says.
// They run on the loop's stack too: they neither throw, wait nor run user code.
class UVLET_API Transport {
 public:
  virtual ~Transport() = default;

  // 0 when it can carry bytes. recv() and send() do it too, if need be.
  virtual int handshake(Descriptor& descriptor) noexcept = 0;
  virtual ssize_t recv(Descriptor& descriptor, char* data, std::size_t bytes) noexcept = 0;
  // What it takes may stay with it for a while.
  virtual ssize_t send(Descriptor& descriptor, const char* data, std::size_t bytes) noexcept = 0;
  // 0 once the system has all that send() took. Called in the background too.
  virtual int flush(Descriptor& descriptor) noexcept = 0;
  virtual int shutdown(Descriptor& descriptor, int how) noexcept = 0;
  // The descriptor is about to be closed.
  virtual void closing(Descriptor& descriptor) noexcept = 0;

  // Whether it waits for this readiness, where somebody waits to read, or to write.
  virtual bool wants(Direction direction, bool reader, bool writer) const noexcept = 0;
  // That of a connection which the descriptor, a listener, has accepted.
  virtual std::unique_ptr<Transport> accepted() const = 0;
  // Throws what stands behind an errno of its own, else returns.
  virtual void fail(int error, const char* call) const = 0;
};

}  // namespace uvlet::inline UVLET_ABI

#pragma once

// Messages with what goes beside the bytes, addresses and descriptors: the operations behind
// Socket's sendto, sendmsg, recvfrom and recvmsg.

#include <aio/task.hpp>
#include <green/owned_fd.hpp>
#include <green/shared_descriptor.hpp>
#include <uvlet/address.hpp>
#include <uvlet/descriptor.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace green {

// What recvmsg gives. Descriptors that nobody takes out of `fds` are closed with it.
struct UVLET_API Message {
  Message() {}
  std::string data;
  std::vector<OwnedFd> fds;  // closed on exec
  int flags = 0;             // MSG_TRUNC: data are missing, MSG_CTRUNC: descriptors; MSG_EOR
  uvlet::Address from;       // of a datagram
};

namespace detail {

// The base of what receives one message.
class UVLET_API ReceiveMessage : public uvlet::IoWait {
 public:
  ReceiveMessage(uvlet::Descriptor* descriptor, std::optional<uvlet::Duration> limit,
                 std::size_t max, std::size_t max_fds = 0) noexcept
      : IoWait(descriptor, uvlet::Direction::read, limit), max_(max), max_fds_(max_fds) {}
  ReceiveMessage(uvlet::Descriptor* descriptor, std::optional<uvlet::Duration> limit,
                 std::span<char> into) noexcept
      : IoWait(descriptor, uvlet::Direction::read, limit), max_(into.size()), into_(into.data()) {}
  ReceiveMessage(ReceiveMessage&&) = default;

 protected:
  Message message_;
  std::size_t received_ = 0;

 private:
  bool attempt() noexcept final;
  std::size_t max_;
  char* into_ = nullptr;  // null: into message_
  std::size_t max_fds_ = 0;
};

class UVLET_API RecvFrom final : public uvlet::Operation<RecvFrom, ReceiveMessage> {
 public:
  using Operation::Operation;
  RecvFrom(RecvFrom&&) = default;
  std::pair<std::string, uvlet::Address> result();
};

class UVLET_API RecvFromInto final : public uvlet::Operation<RecvFromInto, ReceiveMessage> {
 public:
  using Operation::Operation;
  RecvFromInto(RecvFromInto&&) = default;
  std::pair<std::size_t, uvlet::Address> result();
};

class UVLET_API RecvMessage final : public uvlet::Operation<RecvMessage, ReceiveMessage> {
 public:
  using Operation::Operation;
  RecvMessage(RecvMessage&&) = default;
  Message result();
};

// The buffer that a receive of up to `max` bytes is worth. A datagram is received as a whole.
UVLET_API std::size_t worth_receiving(const uvlet::Descriptor& descriptor,
                                      std::size_t max) noexcept;

// Sends one message, to `to` if the socket is not connected. A null descriptor: EBADF.
UVLET_API aio::task<std::size_t> send_message(std::shared_ptr<SharedDescriptor> descriptor,
                                              std::optional<uvlet::Duration> limit,
                                              std::string_view data,
                                              std::optional<uvlet::Address> to,
                                              std::span<const int> fds = {});

}  // namespace detail
}  // namespace green

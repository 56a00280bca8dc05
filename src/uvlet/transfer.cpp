#include <uvlet/transfer.hpp>

#include <cerrno>

namespace uvlet::inline UVLET_ABI {

bool Receive::attempt() noexcept {
  if (max_ == 0) return true;
  SocketCall call;
  call.bytes = descriptor_->allowance(wanted());
  if (call.bytes == 0) return false;
  call.data = into_ ? into_ : scratch(call.bytes);
  if (!call.data) return failed(ENOMEM);
  call.result = descriptor_->recv(call.data, call.bytes);
  if (call.result < 0) return failed(errno);
  return made(call);
}

bool Receive::next_call(SocketCall& call) noexcept {
  call.data = into_;
  call.bytes = wanted();
  return call.bytes > 0;
}

bool Receive::made(const SocketCall& call) noexcept {
  if (call.result < 0) return failed(static_cast<int>(-call.result));
  try {
    received(call.data, static_cast<std::size_t>(call.result));
  } catch (...) {
    error_number = ENOMEM;
  }
  return true;
}

bool Send::attempt() noexcept {
  while (!all_sent()) {
    const std::string_view data = left();
    const std::size_t wanted = descriptor_->allowance(data.size());
    if (wanted == 0 && !data.empty()) return false;
    const ssize_t put = descriptor_->send(data.data(), wanted);
    if (put < 0) return failed(errno);
    sent(static_cast<std::size_t>(put));
  }
  return descriptor_->flush() == 0 || failed(errno);
}

bool Send::next_call(SocketCall& call) noexcept {
  const std::string_view data = left();
  call.data = const_cast<char*>(data.data());  // of a call that only reads it
  call.bytes = data.size();
  return !data.empty();
}

bool Send::made(const SocketCall& call) noexcept {
  if (call.result < 0) return failed(static_cast<int>(-call.result));
  sent(static_cast<std::size_t>(call.result));
  return attempt();
}

}  // namespace uvlet::inline UVLET_ABI

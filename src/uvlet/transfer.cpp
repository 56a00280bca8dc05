#include <uvlet/transfer.hpp>

#include <cerrno>

namespace uvlet::inline UVLET_ABI {

bool Receive::attempt() noexcept {
  if (max_ == 0) return true;
  ReceiveCall call;
  call.bytes = descriptor_->allowance(wanted());
  if (call.bytes == 0) return false;
  call.data = into_ ? into_ : scratch(call.bytes);
  if (!call.data) return failed(ENOMEM);
  call.result = descriptor_->recv(call.data, call.bytes);
  if (call.result < 0) return failed(errno);
  return receive_made(call);
}

bool Receive::next_receive(ReceiveCall& call) noexcept {
  call.data = into_;
  call.bytes = wanted();
  return call.bytes > 0;
}

bool Receive::receive_made(const ReceiveCall& call) noexcept {
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

}  // namespace uvlet::inline UVLET_ABI

#include <aio/uv_request.hpp>
#include <aio/wait_signal.hpp>

#include <stdexcept>
#include <string>

namespace aio {
namespace {

class SignalWait;

// libuv's handle, which lives until libuv has closed it.
struct SignalHandle {
  uv_signal_t handle{};
  SignalWait* waiter = nullptr;

  void close() noexcept {
    waiter = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle),
             [](uv_handle_t* closed) { delete static_cast<SignalHandle*>(closed->data); });
  }
};

class SignalWait final : public uvlet::Operation<SignalWait> {
 public:
  // Without `settled`: until the signal comes.
  explicit SignalWait(int number, std::function<bool()> settled = {}) noexcept
      : number_(number), settled_(std::move(settled)) {}
  SignalWait(SignalWait&&) noexcept = default;
  ~SignalWait() { leave(); }

  bool ready() const noexcept { return false; }
  void suspend(uvlet::Hub& hub) {
    handle_ = new SignalHandle;
    handle_->handle.data = handle_;
    handle_->waiter = this;
    uv_signal_init(hub.loop(), &handle_->handle);
    const int rc = uv_signal_start(
        &handle_->handle,
        [](uv_signal_t* handle, int) {
          auto* self = static_cast<SignalHandle*>(handle->data);
          if (self->waiter) self->waiter->signalled();
        },
        number_);
    if (rc == 0) {
      if (settled_) signalled();  // it may have come before
      return;
    }
    leave();
    if (rc == UV_EINVAL)
      throw std::invalid_argument("no signal to wait for: " + std::to_string(number_));
    throw std::system_error(-rc, std::generic_category(), "wait_signal");
  }
  int result() noexcept {
    leave();
    return number_;
  }
  uvlet::Cancel cancel() noexcept override {
    leave();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "a signal"; }

 private:
  void signalled() noexcept {
    if (settled_ && !settled_()) return;
    leave();
    notify();
  }
  void leave() noexcept {
    if (handle_) std::exchange(handle_, nullptr)->close();
  }

  int number_;
  std::function<bool()> settled_;
  SignalHandle* handle_ = nullptr;
};

}  // namespace

task<int> wait_signal(int number) {
  SignalWait wait(number);
  co_return co_await std::move(wait);
}

task<void> detail::wait_signal_until(int number, std::function<bool()> settled) {
  SignalWait wait(number, std::move(settled));
  co_await std::move(wait);
}

}  // namespace aio

#include <aio/signal_receiver.hpp>
#include <aio/wait_signal.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/signal.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <uv.h>

namespace aio {
namespace detail {
namespace {

// libuv's handle, which lives until libuv has closed it, or the loop has gone.
class Catcher final : uvlet::HubObserver {
 public:
  Catcher(uvlet::Hub& hub, SignalState& state) noexcept : hub_(&hub), state_(&state) {
    handle_.data = this;
    uv_signal_init(hub.loop(), &handle_);
    hub.observe(*this);
  }
  void start(int number) {
    const int rc = uv_signal_start(&handle_, on_signal, number);
    if (rc == UV_EINVAL)
      throw std::invalid_argument("no signal to wait for: " + std::to_string(number));
    if (rc != 0) throw std::system_error(-rc, std::generic_category(), "a signal to wait for");
    keep_loop_alive(false);
  }
  void keep_loop_alive(bool keep) noexcept {
    if (!hub_) return;
    if (keep)
      uv_ref(reinterpret_cast<uv_handle_t*>(&handle_));
    else
      uv_unref(reinterpret_cast<uv_handle_t*>(&handle_));
  }
  void close() noexcept {
    state_ = nullptr;
    unlink();
    // A forked child has another loop.
    if (!hub_ || born_after_ != uvlet::forks.load(std::memory_order_relaxed))
      delete this;
    else
      uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
               [](uv_handle_t* closed) { delete static_cast<Catcher*>(closed->data); });
  }

 private:
  static void on_signal(uv_signal_t* handle, int number) noexcept;
  void hub_ended() noexcept override { hub_ = nullptr; }

  uv_signal_t handle_{};
  uvlet::Hub* hub_;
  SignalState* state_;
  const std::uint64_t born_after_ = uvlet::forks.load(std::memory_order_relaxed);
};

}  // namespace

struct SignalState {
  explicit SignalState(const std::vector<int>& numbers) {
    uvlet::Hub& hub = uvlet::Hub::get();
    came.reserve(numbers.size());
    try {
      for (const int number : numbers) {
        catchers.push_back(nullptr);
        catchers.back() = new Catcher(hub, *this);
        catchers.back()->start(number);
      }
    } catch (...) {
      stop();
      throw;
    }
  }
  void stop() noexcept {
    for (Catcher* catcher : std::exchange(catchers, {}))
      if (catcher) catcher->close();
    changed.notify_all();
  }
  void signalled(int number) noexcept {
    if (std::find(came.begin(), came.end(), number) != came.end()) return;
    came.push_back(number);
    changed.notify_all();
  }

  std::vector<Catcher*> catchers;
  std::vector<int> came;  // each once; there is room for all
  int waiting = 0;
  uvlet::Signal changed{"a signal"};
};

namespace {

void Catcher::on_signal(uv_signal_t* handle, int number) noexcept {
  auto* self = static_cast<Catcher*>(handle->data);
  if (self->state_) self->state_->signalled(number);
}

// While somebody waits the loop has something to wait for.
class Waiting {
 public:
  explicit Waiting(SignalState& state) noexcept : state_(state) {
    if (state_.waiting++ == 0) keep_loop_alive(true);
  }
  Waiting(const Waiting&) = delete;
  ~Waiting() {
    if (--state_.waiting == 0) keep_loop_alive(false);
  }

 private:
  void keep_loop_alive(bool keep) noexcept {
    for (Catcher* catcher : state_.catchers) catcher->keep_loop_alive(keep);
  }
  SignalState& state_;
};

task<int> receive(std::shared_ptr<SignalState> state) {
  const Waiting waiting(*state);
  while (state->came.empty() && !state->catchers.empty()) co_await state->changed.wait();
  if (state->came.empty()) throw std::logic_error("a SignalReceiver that no longer receives");
  const int number = state->came.front();
  state->came.erase(state->came.begin());
  co_return number;
}

}  // namespace
}  // namespace detail

SignalReceiver::SignalReceiver(std::vector<int> numbers)
    : state_(std::make_shared<detail::SignalState>(numbers)) {}
SignalReceiver::~SignalReceiver() {
  if (state_) state_->stop();
}

task<int> SignalReceiver::receive() {
  if (!state_) throw std::logic_error("a SignalReceiver that was moved from");
  return detail::receive(state_);
}

task<int> wait_signal(int number) {
  SignalReceiver receiver(number);
  co_return co_await receiver.receive();
}

}  // namespace aio

#pragma once

// Green threads on the hub of another OS thread. Here a green thread stands in for the one there:
// it waits for its end, and passes a kill on to it.

#include <green/greenthread.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

namespace green {
namespace detail {

// What the two share. Reaches across OS threads only by posts to the two hubs.
class UVLET_API Remote : public std::enable_shared_from_this<Remote> {
 public:
  Remote(uvlet::Hub& here, uvlet::Hub& there) noexcept : here_(here), there_(there) {}
  virtual ~Remote();

  // Starts it there.
  void send();
  // Nobody waits here any more; it is killed, unless this hub itself ends.
  void abandon() noexcept;
  bool done() const noexcept { return done_; }

  // The wait for its end, here.
  class UVLET_API Wait : public uvlet::Operation<Wait> {
   public:
    static constexpr bool forwards_cancel = true;
    explicit Wait(Remote& remote) noexcept : remote_(remote) {}
    Wait(Wait&&) noexcept = default;
    bool ready() const noexcept { return remote_.done_; }
    void suspend(uvlet::Hub& hub) noexcept;
    void result() const noexcept {}
    uvlet::Cancel cancel() noexcept override;
    const char* describe() const noexcept override { return "a green thread of another hub"; }

   private:
    Remote& remote_;
  };

 protected:
  // There, where nothing may wait: starts the green thread, which calls ended() when it is over.
  virtual Greenlet start(uvlet::Hub& there) = 0;
  virtual void fail(std::exception_ptr error) noexcept = 0;  // it could not be started
  void ended() noexcept;

 private:
  struct Started;
  struct Killed;
  struct Done;
  void post_kill() noexcept;

  uvlet::Hub& here_;
  uvlet::Hub& there_;
  Greenlet thread_;          // there
  Wait* waiting_ = nullptr;  // here
  bool done_ = false;        // here

  // Both hubs live while this is held: each posts to the other only while it knows that it is
  // there.
  std::mutex mutex_;
  bool over_ = false;       // there it has ended
  bool abandoned_ = false;  // here nobody will take the result
};

template <class T, class Function>
class RemoteCall final : public Remote {
 public:
  RemoteCall(uvlet::Hub& here, uvlet::Hub& there, Function call, void* spawned_at)
      : Remote(here, there), function_(std::move(call)), spawned_at_(spawned_at) {}
  T take() { return outcome_.take(true); }

 private:
  Greenlet start(uvlet::Hub& there) override {
    auto self = std::static_pointer_cast<RemoteCall>(shared_from_this());
    auto body = [self, call = std::move(function_)]() mutable {
      if constexpr (std::is_void_v<T>) {
        call();
        self->outcome_.set_value();
      } else {
        self->outcome_.set_value(call());
      }
    };
    GreenThread<void> thread = detail::start<void>(there, spawned_at_, std::move(body));
    thread.link([self](GreenThread<void> finished) {
      if (!self->outcome_.settled()) {
        try {
          finished.wait();
        } catch (...) {
          self->outcome_.set_error(uvlet::caught_exception());
        }
      }
      self->ended();
    });
    return thread;
  }
  void fail(std::exception_ptr error) noexcept override { outcome_.set_error(std::move(error)); }

  Function function_;
  void* spawned_at_;
  uvlet::Outcome<T> outcome_;
};

// The function of the green thread that stands in.
template <class T, class Function>
class StandIn {
 public:
  explicit StandIn(std::shared_ptr<RemoteCall<T, Function>> remote) noexcept
      : remote_(std::move(remote)) {}
  StandIn(StandIn&&) noexcept = default;
  ~StandIn() {
    if (remote_) remote_->abandon();
  }
  T operator()() {
    try {
      uvlet::block(Remote::Wait(*remote_));
    } catch (...) {
      if (!remote_->done()) throw;
      return take_instead(std::current_exception());
    }
    return remote_->take();
  }

 private:
  // It was killed, and so was the one there, which may have made something else of it.
  T take_instead(std::exception_ptr interrupt) {
    try {
      return remote_->take();
    } catch (const GreenletExit&) {
      std::rethrow_exception(interrupt);
    }
  }

  std::shared_ptr<RemoteCall<T, Function>> remote_;
};

}  // namespace detail

// Runs f(a...) in a new green thread of `hub`, which must live until it starts. Thread-safe. The
// handle belongs to the hub that calls: its wait() gives the result, its kill() throws GreenletExit
// into the green thread there and is over when that is. Never switches; does not start late because
// the caller goes on. When the calling hub ends with its OS thread the green thread runs on.
template <class F, class... A>
[[gnu::always_inline]] inline auto spawn_on(uvlet::Hub& hub, F&& f, A&&... a)
    -> GreenThread<detail::call_result_t<F, A...>> {
  using T = detail::call_result_t<F, A...>;
  auto call = detail::make_call(std::forward<F>(f), std::forward<A>(a)...);
  using Function = decltype(call);
  uvlet::Hub& here = uvlet::Hub::get();
  auto remote = std::make_shared<detail::RemoteCall<T, Function>>(here, hub, std::move(call),
                                                                  uvlet::this_address());
  GreenThread<T> thread = detail::start<T>(
      here, uvlet::this_address(), detail::StandIn<T, Function>(remote), detail::AtOnce(), false);
  remote->send();
  return thread;
}

}  // namespace green

#pragma once

#include <aio/task.hpp>
#include <green/greenthread.hpp>
#include <uvlet/hub.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <type_traits>
#include <utility>

namespace green {

// std::thread as a green thread: it runs on this OS thread, from the caller's next wait on. As
// there, destroying or assigning to one that is joinable is std::terminate, and so is an exception
// that leaves its function; but not what interrupts it (a kill, a Timeout), which ends it.
class UVLET_API thread {
 public:
  // Names a green thread or a task of any hub; default-constructed, none.
  class id {
   public:
    id() noexcept = default;
    friend auto operator<=>(const id&, const id&) noexcept = default;
    template <class C, class Traits>
    friend std::basic_ostream<C, Traits>& operator<<(std::basic_ostream<C, Traits>& out, id one) {
      return out << one.number_;
    }
    std::size_t hash() const noexcept {
      return std::hash<std::uint64_t>()(number_) ^ std::hash<const void*>()(hub_) << 1;
    }

   private:
    friend class thread;
    id(const uvlet::Hub* hub, std::uint64_t number) noexcept : hub_(hub), number_(number) {}
    const uvlet::Hub* hub_ = nullptr;
    std::uint64_t number_ = 0;
  };

  thread() noexcept = default;
  // Runs f(a...) in a new green thread. Never switches. Throws system_error(ENOMEM), naming the
  // limit, when there is no stack for it.
  template <class F, class... A>
  requires(!std::is_same_v<std::remove_cvref_t<F>, thread>)
      [[gnu::always_inline]] explicit thread(F&& f, A&&... a)
      : hub_(&uvlet::Hub::get()) {
    auto body = [call = detail::make_call(std::forward<F>(f), std::forward<A>(a)...)]() mutable {
      try {
        call();
      } catch (...) {
        leave_function();
      }
    };
    running_ = detail::start<void>(uvlet::Hub::get(), uvlet::this_address(), std::move(body));
  }
  thread(thread&& other) noexcept { swap(other); }
  thread& operator=(thread&& other) noexcept;
  ~thread();

  bool joinable() const noexcept { return hub_ != nullptr; }
  id get_id() const noexcept { return joinable() ? id(hub_, running_.id()) : id(); }
  // Waits for its end; an interrupted join has not joined. Throws system_error: invalid_argument if
  // it is not joinable, resource_deadlock_would_occur if it is the one that calls.
  // Blocks the green thread. Cancel point.
  void join();
  class Joining;
  Joining join_async();
  // Lets it run on its own. Throws system_error, invalid_argument, if it is not joinable.
  void detach();
  // For what std::thread cannot do: kill(), name().
  const Greenlet& native_handle() const noexcept { return running_; }

  void swap(thread& other) noexcept {
    std::swap(running_, other.running_);
    std::swap(hub_, other.hub_);
  }
  friend void swap(thread& a, thread& b) noexcept { a.swap(b); }

  // Of the machine: green threads share one CPU, hubs on OS threads use the others.
  static unsigned hardware_concurrency() noexcept;
  static id current() noexcept;

 private:
  // In a handler of what leaves the function.
  static void leave_function();
  void require_joinable() const;

  GreenThread<void> running_;
  const uvlet::Hub* hub_ = nullptr;  // null: not joinable
};

// The wait for the end of a thread.
class thread::Joining final : public uvlet::Operation<Joining> {
 public:
  Joining(thread& joined, uvlet::Handle<detail::State<void>> state) noexcept
      : joined_(&joined), state_(std::move(state)) {}
  Joining(Joining&&) noexcept = default;
  bool ready() const noexcept { return state_->settled(); }
  void suspend(uvlet::Hub&) noexcept { state_->listen(*this); }
  void result() noexcept {
    joined_->running_ = GreenThread<void>();
    joined_->hub_ = nullptr;
  }
  uvlet::Cancel cancel() noexcept override {
    unlink();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "the end of a thread"; }

 private:
  thread* joined_;
  uvlet::Handle<detail::State<void>> state_;
};

inline void thread::join() { uvlet::block(join_async()); }

namespace this_thread {

inline thread::id get_id() noexcept { return thread::current(); }
// To the back of the line. Blocks the green thread. Cancel point.
UVLET_INLINE void yield() { uvlet::Hub::get().yield(); }
inline uvlet::Sleep yield_async() { return uvlet::Sleep(0); }
// Blocks the green thread. Cancel point.
inline void sleep_for(Duration length) { green::sleep(length); }
inline uvlet::Sleep sleep_for_async(Duration length) { return uvlet::Sleep(length); }
// Until that clock says so, never less. Blocks the green thread. Cancel point.
template <class Clock, class Length>
void sleep_until(std::chrono::time_point<Clock, Length> then) {
  for (auto now = Clock::now(); now < then; now = Clock::now()) green::sleep(Duration(then - now));
}
template <class Clock, class Length>
aio::task<> sleep_until_async(std::chrono::time_point<Clock, Length> then) {
  for (auto now = Clock::now(); now < then; now = Clock::now())
    co_await uvlet::Sleep(Duration(then - now));
}

}  // namespace this_thread
}  // namespace green

template <>
struct std::hash<green::thread::id> {
  std::size_t operator()(green::thread::id one) const noexcept { return one.hash(); }
};

#pragma once

// Any libuv request as an awaitable.

#include <aio/task.hpp>

#include <cassert>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>
#include <uv.h>

namespace aio {

namespace detail {

UVLET_API void thread_pool_used() noexcept;

// Requests that libuv gives to its thread pool.
template <class Req>
inline constexpr bool uses_thread_pool =
    std::is_same_v<Req, uv_fs_t> || std::is_same_v<Req, uv_getaddrinfo_t> ||
    std::is_same_v<Req, uv_getnameinfo_t> || std::is_same_v<Req, uv_work_t> ||
    std::is_same_v<Req, uv_random_t>;

// libuv owns the request until its callback; the wait may be over before. The request may hold
// pointers into itself, so it is never moved: it is the first member, and freed with the rest.
template <class Req>
struct RequestState {
  Req request{};
  uvlet::Waiter* waiter = nullptr;  // null: nobody waits any more
  uvlet::Hub* hub = nullptr;
  int status = 0;
};

}  // namespace detail

// Frees what a finished request owns, and the request.
template <class Req>
struct RequestDeleter {
  void operator()(Req* request) const noexcept {
    if constexpr (std::is_same_v<Req, uv_fs_t>) uv_fs_req_cleanup(request);
    if constexpr (std::is_same_v<Req, uv_getaddrinfo_t>) uv_freeaddrinfo(request->addrinfo);
    delete reinterpret_cast<detail::RequestState<Req>*>(request);
  }
};
template <class Req>
using Request = std::unique_ptr<Req, RequestDeleter<Req>>;

namespace detail {

// Converts to the callback type of any request: void (*)(Req*), void (*)(Req*, int), ...
template <class Req>
struct RequestCallback {
  template <class... Rest>
  using Function = void (*)(Req*, Rest...);

  template <class... Rest>
  operator Function<Rest...>() const noexcept {
    return [](Req* request, Rest... rest) {
      auto* state = reinterpret_cast<RequestState<Req>*>(request);
      --state->hub->external;
      if constexpr (uses_thread_pool<Req>) --state->hub->offloaded;
      state->status = status_of(rest...);
      if (state->waiter)
        state->waiter->notify();
      else
        RequestDeleter<Req>()(request);
    };
  }

  static int status_of() noexcept { return 0; }
  template <class First, class... Rest>
  static int status_of(First first, Rest...) noexcept {
    if constexpr (std::is_same_v<First, int>)
      return first;
    else
      return 0;
  }
};

template <class Req, class Start>
class UvRequest final : public uvlet::Operation<UvRequest<Req, Start>> {
 public:
  explicit UvRequest(Start start) : start_(std::move(start)) {}
  UvRequest(UvRequest&&) = default;
  ~UvRequest() {
    if (!state_) return;
    if (in_flight_)
      state_->waiter = nullptr;
    else
      RequestDeleter<Req>()(&state_->request);
  }

  bool ready() const noexcept { return false; }
  void suspend(uvlet::Hub& hub) {
    if constexpr (uses_thread_pool<Req>) thread_pool_used();
    state_ = new RequestState<Req>;
    state_->waiter = this;
    state_->hub = &hub;
    const int rc = start_(hub.loop(), &state_->request, RequestCallback<Req>());
    if (rc < 0) {
      delete std::exchange(state_, nullptr);
      throw std::system_error(-rc, std::generic_category(), "uv_request");
    }
    ++hub.external;
    if constexpr (uses_thread_pool<Req>) ++hub.offloaded;
    in_flight_ = true;
  }
  Request<Req> await_resume() {
    in_flight_ = false;
    return uvlet::Operation<UvRequest>::await_resume();
  }
  Request<Req> result() {
    const int status = state_->status;
    Request<Req> finished(&std::exchange(state_, nullptr)->request);
    if (status < 0) throw std::system_error(-status, std::generic_category(), "uv_request");
    return finished;
  }
  // libuv may still stop it; either way its callback comes.
  uvlet::Cancel cancel() noexcept override {
    if (this->root_->linked()) return uvlet::Cancel::too_late;
    uv_cancel(reinterpret_cast<uv_req_t*>(&state_->request));
    return uvlet::Cancel::later;
  }
  const char* describe() const noexcept override { return "a libuv request"; }

 private:
  Start start_;
  RequestState<Req>* state_ = nullptr;
  bool in_flight_ = false;
};

}  // namespace detail

// Starts a request and waits for it: start(uv_loop_t*, Req*, callback) -> int, where `callback`
// converts to libuv's callback type. co_await gives an owning handle to the finished request;
// a negative return of `start`, or a negative status, is system_error with that errno. An interrupt
// cancels the request (uv_cancel) and waits for its callback.
template <class Req, class Start>
auto uv_request(Start start) {
  return detail::UvRequest<Req, Start>(std::move(start));
}

}  // namespace aio

#pragma once

#include <aio/web/request.hpp>
#include <aio/web/response.hpp>
#include <aio/web/value.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace aio::web {

class Application;

// A handler as a middleware sees it.
using Handler = std::function<task<Response>(Request&)>;

namespace detail {

// A callable that std::function can keep, move-only ones too. Copies share it.
template <class F>
class Shared {
 public:
  explicit Shared(F function) : function_(std::make_shared<F>(std::move(function))) {}
  template <class... A>
  decltype(auto) operator()(A&&... arguments) const {
    return std::invoke(*function_, std::forward<A>(arguments)...);
  }

 private:
  std::shared_ptr<F> function_;
};

// A handler in one of its two kinds.
struct AnyHandler {
  std::function<Response(Request&)> plain;  // may block
  Handler coroutine;

  task<Response> operator()(Request& request) const {
    if (plain) co_return plain(request);
    co_return co_await coroutine(request);
  }
};

template <class R>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

template <class H>
AnyHandler make_handler(H handler) {
  using R = std::invoke_result_t<H&, Request&>;
  AnyHandler made;
  Shared<H> kept(std::move(handler));
  if constexpr (std::same_as<R, task<Response>>) {
    made.coroutine = std::move(kept);
  } else if constexpr (is_task<R>) {
    made.coroutine = [kept](Request& request) -> task<Response> {
      co_return Response(co_await kept(request));
    };
  } else {
    static_assert(std::convertible_to<R, Response>,
                  "a handler takes Request& and returns Response, StreamResponse, FileResponse, or "
                  "a task of one of them");
    made.plain = [kept](Request& request) -> Response { return kept(request); };
  }
  return made;
}

using Middleware = std::function<task<Response>(Request&, const Handler&)>;

template <class M>
Middleware make_middleware(M middleware) {
  using R = std::invoke_result_t<M&, Request&, const Handler&>;
  Shared<M> kept(std::move(middleware));
  if constexpr (std::same_as<R, task<Response>>) {
    return kept;
  } else {
    return [kept](Request& request, const Handler& next) -> task<Response> {
      if constexpr (is_task<R>)
        co_return Response(co_await kept(request, next));
      else
        co_return Response(kept(request, next));
    };
  }
}

using Hook = std::function<task<void>(Application&)>;

template <class F>
Hook make_hook(F function) {
  Shared<F> kept(std::move(function));
  return [kept](Application& app) -> task<void> {
    if constexpr (std::invocable<F&, Application&>) {
      if constexpr (is_task<std::invoke_result_t<F&, Application&>>)
        co_await kept(app);
      else
        kept(app);
    } else {
      if constexpr (is_task<std::invoke_result_t<F&>>)
        co_await kept();
      else
        kept();
    }
  };
}

struct ApplicationState;

}  // namespace detail

// Routes, and what stands around them. A shared handle: copies are the same application. It is put
// together first and then served; what is added while it is served is undefined. Handlers, hooks
// and middlewares are kept as std::thread keeps its callable: one that can only be moved will do.
class UVLET_API Application {
 public:
  Application();

  // Paths are matched segment by segment: "/users/{id}" takes one segment, "/files/{path:.*}" what
  // the regular expression takes. A path nobody added is 404, a method 405 with an Allow header. A
  // GET route answers HEAD too, and "*" is every method. Handlers take Request& and return
  // Response, StreamResponse, FileResponse or a task of one: a plain function may block, a
  // coroutine may await, side by side.
  class UVLET_API Router {
   public:
    template <class H>
    void add_route(std::string method, std::string path, H handler) {
      add(std::move(method), std::move(path), detail::make_handler(std::move(handler)));
    }
    template <class H>
    void add_get(std::string path, H handler) {
      add_route("GET", std::move(path), std::move(handler));
    }
    template <class H>
    void add_post(std::string path, H handler) {
      add_route("POST", std::move(path), std::move(handler));
    }
    template <class H>
    void add_put(std::string path, H handler) {
      add_route("PUT", std::move(path), std::move(handler));
    }
    template <class H>
    void add_patch(std::string path, H handler) {
      add_route("PATCH", std::move(path), std::move(handler));
    }
    template <class H>
    void add_delete(std::string path, H handler) {
      add_route("DELETE", std::move(path), std::move(handler));
    }
    template <class H>
    void add_head(std::string path, H handler) {
      add_route("HEAD", std::move(path), std::move(handler));
    }
    template <class H>
    void add_options(std::string path, H handler) {
      add_route("OPTIONS", std::move(path), std::move(handler));
    }
    // The files below a directory, never one outside it. invalid_argument if there is none.
    void add_static(std::string prefix, std::string directory);

   private:
    friend struct detail::ApplicationState;
    explicit Router(detail::ApplicationState& state) noexcept : state_(state) {}
    void add(std::string method, std::string path, detail::AnyHandler handler);

    detail::ApplicationState& state_;
  };
  Router& router() noexcept;

  // Called, in order, with Application& or nothing, as plain functions or coroutines: before the
  // first connection; when no new ones are accepted; when the last one has ended.
  template <class F>
  void on_startup(F function) {
    add_hook(Moment::startup, detail::make_hook(std::move(function)));
  }
  template <class F>
  void on_shutdown(F function) {
    add_hook(Moment::shutdown, detail::make_hook(std::move(function)));
  }
  template <class F>
  void on_cleanup(F function) {
    add_hook(Moment::cleanup, detail::make_hook(std::move(function)));
  }

  // middleware(Request&, const Handler& next) gives the response; `co_await next(request)` is that
  // of what stands behind it. The first one added is the outermost. It sees 404 and 405 as
  // HTTPException.
  template <class M>
  void add_middleware(M middleware) {
    add(detail::make_middleware(std::move(middleware)));
  }
  // Requests whose path begins with the prefix go to the other application, behind the middlewares
  // of this one; request.app() is that one.
  void add_subapp(std::string prefix, Application app);

  // Things that handlers share, which can be move-only. get: out_of_range if there is none of that
  // name, logic_error if it is of another type.
  template <class T>
  void set(std::string key, T value) {
    store(std::move(key), detail::Value::of(std::move(value)));
  }
  template <class T>
  T& get(const std::string& key) {
    return stored(key).template get<T>(key);
  }

  // For the server.
  detail::ApplicationState& state() const noexcept { return *state_; }

 private:
  enum class Moment { startup, shutdown, cleanup };
  void add_hook(Moment moment, detail::Hook hook);
  void add(detail::Middleware middleware);
  void store(std::string key, detail::Value value);
  const detail::Value& stored(const std::string& key) const;

  std::shared_ptr<detail::ApplicationState> state_;
};

}  // namespace aio::web

#include <aio/web/runner.hpp>

#include "../listener.hpp"
#include "application.hpp"
#include "server.hpp"

#include <aio/getaddrinfo.hpp>
#include <aio/to_thread.hpp>
#include <aio/wait.hpp>
#include <aio/wait_signal.hpp>

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <unistd.h>

namespace aio::web {
namespace {

constexpr int backlog = 1024;

detail::Respond responder(std::shared_ptr<Application> app) {
  return [app = std::move(app)](Request& request) -> task<Response> {
    return detail::ApplicationState::respond(*app, request);
  };
}

}  // namespace

ServerOptions::ServerOptions() = default;

// --- Runner ------------------------------------------------------------------------------------

struct Runner::State {
  State(Application application, const ServerOptions& options)
      : app(std::make_shared<Application>(std::move(application))),
        server(std::make_shared<detail::ServerState>(responder(app), options)) {}

  std::shared_ptr<Application> app;
  std::shared_ptr<detail::ServerState> server;
  bool started = false;
  bool stopped = false;
};

Runner::Runner(Application app, ServerOptions options)
    : state_(std::make_shared<State>(std::move(app), options)) {}

Runner::Runner(Runner&&) noexcept = default;

Runner& Runner::operator=(Runner&& other) noexcept {
  Runner gone(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

Runner::~Runner() {
  if (!state_) return;
  state_->server->close_listener();
  state_->server->cancel_all();
}

task<void> Runner::start(Address address) {
  if (!state_) throw std::logic_error("a Runner that was moved from");
  return start(state_, std::move(address));
}

task<void> Runner::start(std::shared_ptr<State> state, Address address) {
  if (std::exchange(state->started, true))
    throw std::logic_error("a Runner that was started before");
  const std::vector<Address> found = co_await aio::detail::resolve(std::move(address));
  const int fd = aio::detail::listen_on(found.front(), backlog);
  try {
    co_await state->app->state().startup(*state->app);
  } catch (...) {
    ::close(fd);
    throw;
  }
  state->server->listen(fd);
}

Address Runner::address() const {
  if (!state_ || !state_->server->listener) throw std::logic_error("a Runner that was not started");
  return state_->server->address;
}

task<void> Runner::stop() {
  if (!state_) throw std::logic_error("a Runner that was moved from");
  return stop(state_);
}

task<void> Runner::stop(std::shared_ptr<State> state) {
  if (!state->server->listener || std::exchange(state->stopped, true)) co_return;
  state->server->close_listener();
  co_await state->app->state().shutdown(*state->app);
  co_await state->server->finish();
  co_await state->app->state().cleanup(*state->app);
}

// --- run_app -----------------------------------------------------------------------------------

namespace {

task<void> until_signal() {
  std::vector<Future<int>> signals;
  signals.push_back(create_task(wait_signal(SIGINT)));
  signals.push_back(create_task(wait_signal(SIGTERM)));
  co_await wait(signals, FIRST_COMPLETED);
  for (Future<int>& signal : signals) signal.cancel();
}

void announce(const Address& address) {
  std::fprintf(stderr, "======== Running on http://%s ========\n(Press CTRL+C to quit)\n",
               address.str().c_str());
}

task<void> run_here(Application app, Address address, ServerOptions options) {
  Runner runner(std::move(app), std::move(options));
  co_await runner.start(std::move(address));
  announce(runner.address());
  co_await until_signal();
  co_await runner.stop();
}

// One of several threads.
task<void> run_one(std::shared_ptr<Application> app, int fd, ServerOptions options) {
  auto server = std::make_shared<detail::ServerState>(responder(std::move(app)), options);
  server->listen(fd);
  co_await until_signal();
  co_await server->finish();
}

task<std::vector<int>> listeners(Address address, int count) {
  const std::vector<Address> found = co_await aio::detail::resolve(std::move(address));
  std::vector<int> fds;
  Address where = found.front();
  if (where.family() == AF_UNIX)
    throw std::invalid_argument("run_app: several threads cannot share a unix socket");
  for (int i = 0; i < count; ++i) {
    fds.push_back(aio::detail::listen_on(where, backlog, true));
    where = aio::detail::name_of(fds.back());  // with the port that the system chose
  }
  co_return fds;
}

task<void> run_on_several(Application app, Address address, ServerOptions options) {
  const std::vector<int> fds = co_await listeners(std::move(address), options.threads);
  auto shared = std::make_shared<Application>(std::move(app));
  co_await shared->state().startup(*shared);
  announce(aio::detail::name_of(fds.front()));
  auto serve = [shared, fds, options] {
    uvlet::run_on_threads(options.threads, [&](int index) {
      run(run_one(shared, fds[static_cast<std::size_t>(index)], options));
    });
  };
  co_await to_thread(std::move(serve));
  co_await shared->state().shutdown(*shared);
  co_await shared->state().cleanup(*shared);
}

}  // namespace

task<void> run_app_async(Application app, Address address, ServerOptions options) {
  detail::ServerState::check(options);
  const auto serve = options.threads == 1 ? &run_here : &run_on_several;
  return serve(std::move(app), std::move(address), std::move(options));
}

void run_app(Application app, Address address, ServerOptions options) {
  run(run_app_async(std::move(app), std::move(address), std::move(options)));
}

}  // namespace aio::web

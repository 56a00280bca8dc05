#include <aio/web/runner.hpp>

#include "../listener.hpp"
#include "application.hpp"
#include "server.hpp"

#include <aio/event.hpp>
#include <aio/getaddrinfo.hpp>
#include <aio/sleep.hpp>
#include <aio/to_thread.hpp>
#include <aio/wait.hpp>
#include <aio/wait_signal.hpp>

#include <csignal>
#include <cstdio>
#include <mutex>
#include <set>
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
  const int fd = aio::detail::listen_on(found.front(), backlog, false);
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

task<void> signalled(int number) { co_await wait_signal(number); }

// What ends a server.
class Ends {
 public:
  Ends() {
    add(signalled(SIGINT));
    add(signalled(SIGTERM));
  }
  Ends(const Ends&) = delete;
  ~Ends() {
    for (Future<void>& end : ends_) end.cancel();
  }
  void add(task<void> end) { ends_.push_back(create_task(std::move(end))); }
  // From then on none is missed.
  task<void> begin() const { co_await sleep(0); }
  task<void> first() const { co_await aio::wait(ends_, FIRST_COMPLETED); }

 private:
  std::vector<Future<void>> ends_;
};

void announce(const Address& address) {
  std::fprintf(stderr, "======== Running on http://%s ========\n(Press CTRL+C to quit)\n",
               address.str().c_str());
}

task<void> run_here(Application app, Address address, ServerOptions options) {
  const Ends ends;
  co_await ends.begin();
  Runner runner(std::move(app), std::move(options));
  co_await runner.start(std::move(address));
  announce(runner.address());
  co_await ends.first();
  co_await runner.stop();
}

// One signal for all: who began to wait after it had come would have missed it. Thread-safe.
class Stop {
 public:
  void request() {
    const std::lock_guard lock(mutex_);
    requested_ = true;
    for (const Waiting* waiting : waiting_)
      waiting->hub.post([event = waiting->event] { event->set(); });
  }
  task<void> wait() {
    const Waiting here(*this);
    co_await here.event->wait();
  }

 private:
  // Its hub is there as long as this is.
  struct Waiting {
    explicit Waiting(Stop& what) : stop(what) {
      const std::lock_guard lock(stop.mutex_);
      stop.waiting_.insert(this);
      if (stop.requested_) event->set();
    }
    Waiting(const Waiting&) = delete;
    ~Waiting() {
      const std::lock_guard lock(stop.mutex_);
      stop.waiting_.erase(this);
    }
    Stop& stop;
    uvlet::Hub& hub = uvlet::Hub::get();
    std::shared_ptr<Event> event = std::make_shared<Event>();
  };

  std::mutex mutex_;
  std::set<const Waiting*> waiting_;
  bool requested_ = false;
};

// One of several threads.
task<void> run_one(std::shared_ptr<Application> app, std::shared_ptr<Stop> stop, int fd,
                   ServerOptions options) {
  auto server = std::make_shared<detail::ServerState>(responder(std::move(app)), options);
  Ends ends;
  ends.add(stop->wait());
  co_await ends.begin();
  server->listen(fd);
  co_await ends.first();
  stop->request();
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

// What several threads serve.
struct Several {
  explicit Several(Application served, ServerOptions how)
      : app(std::make_shared<Application>(std::move(served))), options(std::move(how)) {}

  static task<Several> start(Application app, Address address, ServerOptions options) {
    Several several(std::move(app), std::move(options));
    several.fds = co_await listeners(std::move(address), several.options.threads);
    co_await several.app->state().startup(*several.app);
    announce(aio::detail::name_of(several.fds.front()));
    co_return several;
  }
  void serve() const {
    uvlet::run_on_threads(options.threads, [this](int index) {
      run(run_one(app, stop, fds[static_cast<std::size_t>(index)], options));
    });
  }
  task<void> end() const {
    co_await app->state().shutdown(*app);
    co_await app->state().cleanup(*app);
  }

  std::shared_ptr<Application> app;
  std::shared_ptr<Stop> stop = std::make_shared<Stop>();
  ServerOptions options;
  std::vector<int> fds;
};

// The threads end also if who awaits them is cancelled.
struct StopAtEnd {
  explicit StopAtEnd(std::shared_ptr<Stop> what) : stop(std::move(what)) {}
  StopAtEnd(const StopAtEnd&) = delete;
  ~StopAtEnd() { stop->request(); }
  std::shared_ptr<Stop> stop;
};

task<void> run_on_several(Application app, Address address, ServerOptions options) {
  const Several several =
      co_await Several::start(std::move(app), std::move(address), std::move(options));
  auto serve = [several] { several.serve(); };
  const StopAtEnd cancelled(several.stop);
  co_await to_thread(std::move(serve));
  co_await several.end();
}

}  // namespace

task<void> run_app_async(Application app, Address address, ServerOptions options) {
  detail::ServerState::check(options);
  const auto serve = options.threads == 1 ? &run_here : &run_on_several;
  return serve(std::move(app), std::move(address), std::move(options));
}

void run_app(Application app, Address address, ServerOptions options) {
  detail::ServerState::check(options);
  if (options.threads == 1)
    return run(run_here(std::move(app), std::move(address), std::move(options)));
  const Several several =
      run(Several::start(std::move(app), std::move(address), std::move(options)));
  several.serve();
  run(several.end());
}

}  // namespace aio::web

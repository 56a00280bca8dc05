#include "resolver.hpp"

#include "../uvlet/threads.hpp"

#include <clocale>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <new>
#include <pthread.h>
#include <thread>

namespace aio::detail {
namespace {

constexpr int threads_max = 128;

}  // namespace

// One a process, and never destroyed: its threads run until the process has ended.
class Resolver {
 public:
  static Resolver& get() {
    static Resolver* const resolver = [] {
      pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); },
                     [] { get().forked(); });
      return new Resolver;
    }();
    return *resolver;
  }

  // Throws system_error where there is no thread for it.
  void submit(std::shared_ptr<Lookup> lookup, uvlet::Hub& hub) {
    const std::lock_guard lock(mutex_);
    if (queued_ >= idle_ && threads_ < threads_max) start_thread();
    lookup->hub_ = &hub;
    queue_.push_back(lookup.get());
    ++queued_;
    lookup->self_ = std::move(lookup);
    wanted_.notify_one();
  }

  void abandon(Lookup& lookup) noexcept {
    std::shared_ptr<Lookup> unmade;  // freed without the mutex
    const std::lock_guard lock(mutex_);
    lookup.hub_ = nullptr;
    if (!lookup.linked()) return;
    unmade = take(lookup);
  }

 private:
  void start_thread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals of the process are not for it
    try {
      std::thread([this] { work(); }).detach();
      ++threads_;
      uvlet::own_threads_changed(1);
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      if (threads_ == 0) throw;
      return;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  [[noreturn]] void work() noexcept {
    pthread_setname_np(pthread_self(), "uvlet-resolver");
    uselocale(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr));  // of the names
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      wanted_.wait(lock, [this] { return queued_ > 0; });
      --idle_;
      std::shared_ptr<Lookup> lookup = take(*queue_.front());
      lock.unlock();
      lookup->look_up();
      lock.lock();
      finish(std::move(lookup));
    }
  }

  // The mutex is held: who waits cannot leave, so that the hub is there.
  static void finish(std::shared_ptr<Lookup> lookup) noexcept {
    if (!lookup->hub_) return;
    Lookup& post = *lookup;
    post.self_ = std::move(lookup);
    post.hub_->send(post);
  }

  std::shared_ptr<Lookup> take(Lookup& lookup) noexcept {
    lookup.unlink();
    --queued_;
    return std::move(lookup.self_);
  }

  // In the child there are no threads, and nobody waits.
  void forked() noexcept {
    uvlet::own_threads_changed(-threads_);
    threads_ = idle_ = 0;
    new (&wanted_) std::condition_variable;
    while (!queue_.empty()) {
      queue_.front()->hub_ = nullptr;
      take(*queue_.front());
    }
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::condition_variable wanted_;
  uvlet::List<Lookup> queue_;
  int queued_ = 0;
  int threads_ = 0;
  int idle_ = 0;
};

void Lookup::run(uvlet::Hub&) noexcept {
  const std::shared_ptr<Lookup> self = std::move(self_);
  if (waiter_) waiter_->complete();
}

void LookupWait::suspend(uvlet::Hub& hub) {
  Resolver& resolver = Resolver::get();
  if (limit_) hub.timers.start(*this, uvlet::deadline_after(hub.now(), *limit_));
  try {
    lookup_->waiter_ = this;
    resolver.submit(lookup_, hub);
  } catch (...) {
    lookup_->waiter_ = nullptr;
    cancel_timer();
    throw;
  }
  hub_ = &hub;
  ++hub.external;
  ++hub.offloaded;
}

void LookupWait::leave() noexcept {
  if (!hub_) return;
  --hub_->external;
  --hub_->offloaded;
  hub_ = nullptr;
  lookup_->waiter_ = nullptr;
  if (!done_) Resolver::get().abandon(*lookup_);
}

void LookupWait::complete() noexcept {
  done_ = true;
  cancel_timer();
  leave();
  wake();
}

void LookupWait::expire() noexcept {
  leave();
  wake();
}

// The result of one that was done, and has not run since, is dropped.
uvlet::Cancel LookupWait::cancel() noexcept {
  cancel_timer();
  leave();
  return uvlet::Cancel::done;
}

}  // namespace aio::detail

#include "hold_watch.hpp"

#include <uvlet/backtrace.hpp>
#include <uvlet/detect_blocking.hpp>
#include <uvlet/hub.hpp>

#include "frames.hpp"
#include "names.hpp"
#include "threads.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <new>
#include <semaphore.h>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <ucontext.h>
#include <unistd.h>

namespace uvlet::inline UVLET_ABI {

std::atomic<bool> HoldWatch::enabled{false};

namespace {

constexpr double answer_within = 0.2;  // seconds that a thread has to answer the signal
constexpr double look_interval_min = 0.001;
constexpr double look_interval_max = 0.25;
constexpr std::size_t name_bytes = 64;

Time monotonic_now() noexcept {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Time{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// --- in the thread that is asked --------------------------------------------------------------

// What a hub's own thread tells of who runs on it. Its signal handler fills it in.
struct Capture {
  HoldWatch* of = nullptr;
  Time since = 0;
  bool still_holds = false;
  std::uint64_t id = 0;
  Root::Kind kind = Root::Kind::green;
  char name[name_bytes] = "";
  FrameList frames;
};
std::atomic<Capture*> wanted{nullptr};  // whoever takes it out owns it until it posts `answered`
sem_t answered;

const void* interrupted_at([[maybe_unused]] const void* context) noexcept {
#if defined(__x86_64__)
  return reinterpret_cast<void*>(
      static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.pc);
#else
  return nullptr;
#endif
}

// Only what may be done in a signal handler: it reads, walks the stack, and posts a semaphore.
void on_question(int, siginfo_t*, void* context) {
  Capture* capture = wanted.exchange(nullptr, std::memory_order_acquire);
  if (!capture) return;
  const int saved_errno = errno;
  Hub* hub = Hub::existing();
  if (hub && &hub->watch() == capture->of && capture->of->since() == capture->since) {
    const Root& root = *hub->running();
    capture->still_holds = true;
    capture->id = root.id;
    capture->kind = root.kind;
    const std::string* name = root.identity ? root.identity->name_given() : nullptr;
    if (name) std::strncpy(capture->name, name->c_str(), name_bytes - 1);
    capture->frames.capture(interrupted_at(context));
  }
  sem_post(&answered);
  errno = saved_errno;
}

// --- the thread that looks --------------------------------------------------------------------

// Never destroyed: hubs of other threads may end after main() has.
class Watcher {
 public:
  static Watcher& instance() {
    static auto* watcher = new Watcher;
    return *watcher;
  }

  void add(HoldWatch& watch) {
    const std::lock_guard lock(mutex_);
    hubs_.push_back(&watch);
  }
  void remove(HoldWatch& watch) {
    const std::lock_guard lock(mutex_);
    watch.unlink();
  }

  void lock_all() {
    switch_mutex_.lock();
    mutex_.lock();
  }
  void unlock_all() noexcept {
    mutex_.unlock();
    switch_mutex_.unlock();
  }
  // Neither the thread that looks nor the hubs of other threads are there.
  void forget_all() noexcept {
    while (!hubs_.empty()) hubs_.pop_front();
    new (&changed_) std::condition_variable;
    unlock_all();
  }

  void start(Duration resolution) {
    const std::lock_guard only_one(switch_mutex_);
    {
      const std::lock_guard lock(mutex_);
      if (signal_ == 0) signal_ = install_handler();
      resolution_ = deadline_after(0, resolution);
      if (process_ == getpid()) return changed_.notify_one();
      process_ = getpid();  // a child of fork() has no thread but its own
    }
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals of the process are not for it
    try {
      thread_ = new std::thread([this] { look(); });
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      const std::lock_guard lock(mutex_);
      process_ = 0;
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    own_threads_changed(1);
  }

  void stop() {
    const std::lock_guard only_one(switch_mutex_);
    {
      const std::lock_guard lock(mutex_);
      if (process_ != getpid()) return;
      process_ = 0;
      changed_.notify_one();
    }
    thread_->join();
    delete thread_;
    own_threads_changed(-1);
  }

 private:
  Watcher() { sem_init(&answered, 0, 0); }

  static int install_handler() {
    for (int number = SIGRTMAX - 1; number > SIGRTMIN; --number) {
      struct sigaction action;
      if (sigaction(number, nullptr, &action) != 0 || (action.sa_flags & SA_SIGINFO) ||
          action.sa_handler != SIG_DFL)
        continue;
      action = {};
      action.sa_sigaction = on_question;
      action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
      sigfillset(&action.sa_mask);
      if (sigaction(number, &action, nullptr) == 0) return number;
    }
    throw std::system_error(EBUSY, std::generic_category(), "every real-time signal is in use");
  }

  void look() {
    std::unique_lock lock(mutex_);
    while (process_ != 0) {
      const double seconds = std::clamp(static_cast<double>(resolution_) * 1e-9 / 4,
                                        look_interval_min, look_interval_max);
      changed_.wait_until(lock, std::chrono::system_clock::now() +
                                    std::chrono::microseconds(static_cast<long>(seconds * 1e6)));
      const Time now = monotonic_now();
      for (HoldWatch* watch : hubs_) {
        const Time since = watch->since();
        if (since == 0 || since == watch->reported || now - since < resolution_) continue;
        if (report(*watch, since)) watch->reported = since;
      }
    }
  }

  // False: it has let others run meanwhile.
  bool report(HoldWatch& watch, Time since) {
    Capture capture;
    capture.of = &watch;
    capture.since = since;
    const std::uint64_t holder = watch.holder();
    const bool has_answered = ask(watch, capture);
    if (has_answered ? !capture.still_holds : watch.since() != since) return false;
    std::string text = "uvlet: ";
    text += has_answered ? kind_name(capture.kind) : "a green thread or task";
    text += " " + std::to_string(has_answered ? capture.id : holder) + " '";
    text += capture.name[0] ? std::string(capture.name)
                            : Identity::default_name(capture.kind == Root::Kind::main, holder);
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.3f",
                  static_cast<double>(monotonic_now() - since) * 1e-9);
    text += std::string("' has held the hub for ") + seconds + " s: ";
    text += has_answered ? symbols(capture.frames.copy())
                         : "its OS thread does not take the signal, no backtrace";
    text += "\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
    return true;
  }

  // Its thread cannot end meanwhile: it would have to take its watch out of the list.
  bool ask(const HoldWatch& watch, Capture& capture) const {
    wanted.store(&capture, std::memory_order_release);
    if (pthread_kill(watch.thread, signal_) == 0) {
      timespec deadline;
      clock_gettime(CLOCK_REALTIME, &deadline);
      const auto nanoseconds = deadline.tv_nsec + static_cast<long>(answer_within * 1e9);
      deadline.tv_sec += nanoseconds / 1'000'000'000;
      deadline.tv_nsec = nanoseconds % 1'000'000'000;
      if (sem_timedwait(&answered, &deadline) == 0) return true;
    }
    if (wanted.exchange(nullptr) == &capture) return false;
    while (sem_wait(&answered) != 0) continue;  // it is writing
    return true;
  }

  std::mutex switch_mutex_;
  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  List<HoldWatch> hubs_;
  Time resolution_ = 0;
  int signal_ = 0;
  pid_t process_ = 0;  // where the thread runs; 0: nowhere
  std::thread* thread_ = nullptr;
};

}  // namespace

HoldWatch::HoldWatch() : thread(pthread_self()) { Watcher::instance().add(*this); }
HoldWatch::~HoldWatch() { Watcher::instance().remove(*this); }

void HoldWatch::before_fork() { Watcher::instance().lock_all(); }
void HoldWatch::after_fork() noexcept { Watcher::instance().unlock_all(); }
void HoldWatch::after_fork_in_child() noexcept { Watcher::instance().forget_all(); }

void HoldWatch::begin(const Root& running) noexcept {
  holder_.store(running.id, std::memory_order_relaxed);
  since_.store(monotonic_now(), std::memory_order_relaxed);
}

void detect_blocking(bool on, Duration resolution) {
  if (!on) {
    HoldWatch::enabled = false;
    Watcher::instance().stop();
    return;
  }
  if (resolution.seconds() == 0)
    throw std::invalid_argument("detect_blocking: a resolution of zero seconds");
  Watcher::instance().start(resolution);
  HoldWatch::enabled = true;
  Hub& hub = Hub::get();
  if (hub.running()->may_wait()) hub.watch().begin(*hub.running());
  hub.step_by_turns();
}

}  // namespace uvlet::inline UVLET_ABI

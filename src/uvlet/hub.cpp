#include <uvlet/hub.hpp>
#include <uvlet/scratch.hpp>
#include <uvlet/waiter.hpp>

#include "epoll_set.hpp"
#include "hold_watch.hpp"
#include "overflow.hpp"
#include "simulated_world.hpp"
#include "threads.hpp"
#include "valgrind.hpp"
#include "world.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <sys/mman.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <uv.h>

#if defined(UVLET_ASAN)
#include <sanitizer/lsan_interface.h>
#endif

namespace uvlet::inline UVLET_ABI {

constinit thread_local Hub* this_hub = nullptr;
constinit thread_local bool blocking_called = false;
std::atomic<int> blocking_call_watches{0};
void set_blocking_called() noexcept { blocking_called = true; }

namespace {

constexpr std::size_t loop_stack_bytes = 1024 * 1024;
constexpr int unwind_rounds_max = 10'000;

constinit thread_local bool hub_ended = false;
std::atomic<int> hub_count{0};
std::atomic<bool> hub_handed_out{false};
std::mutex options_mutex;
HubOptions next_options;

bool on_main_thread() noexcept { return getpid() == gettid(); }

// The part of an OS thread's own stack that lies above this frame.
struct ThreadStack {
  char* low;
  std::size_t size;
};
ThreadStack thread_stack() noexcept {
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
  }
  return {static_cast<char*>(low), size};
}

struct PlainRoot final : Root {
  PlainRoot(Hub& owner, Kind what) noexcept : Root(owner, what) { started = true; }
  ~PlainRoot() = default;
};

#if defined(UVLET_ASAN)
Hub* main_thread_hub = nullptr;
// No thread unwinds green threads at exit: those of the main thread, and of the one in exit().
void register_leak_roots_at_exit() {
  if (main_thread_hub) main_thread_hub->register_leak_roots();
  if (this_hub && this_hub != main_thread_hub) this_hub->register_leak_roots();
}
#endif

}  // namespace

std::atomic<bool> report_exceptions{true};
std::atomic<std::uint64_t> forks{0};

void report_exception(Root& root, const std::exception_ptr& error) noexcept {
  if (!report_exceptions.load(std::memory_order_relaxed)) return;
  try {
    std::rethrow_exception(error);
  } catch (const GreenletExit&) {
    return;
  } catch (...) {
  }
  try {
    const std::string text =
        root.hub->describe(root) + " ended with " + describe(error) + "\n" + traceback(error);
    std::fputs(text.c_str(), stderr);
  } catch (...) {  // no memory for the report: the exception itself goes its way all the same
  }
}

// --- making and ending -------------------------------------------------------------------------

// Ends the hub of an OS thread with the thread. At process exit nothing is unwound or freed:
// exit() may be running on a green thread.
struct HubGuard {
  ~HubGuard() {
    Hub* hub = this_hub;
    if (!hub || on_main_thread() || hub->running() != &hub->main()) return;
    hub->main().free_locals();
    hub->unwind();
    delete hub;
    this_hub = nullptr;
    hub_ended = true;
  }
};

Hub& Hub::make() {
  if (hub_ended)
    throw std::logic_error("the hub of this thread has ended: nothing can block here any more");
  // What green threads may use until they have been unwound is older than the guard.
  install_overflow_report();
  make_scratch();
  static thread_local HubGuard guard;
  (void)&guard;
  HubOptions options;
  {
    const std::lock_guard lock(options_mutex);
    options = next_options;
  }
  static const bool prepared = [] {
    struct sigaction action;
    if (sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL)
      std::signal(SIGPIPE, SIG_IGN);  // libuv writes without MSG_NOSIGNAL
#if defined(UVLET_ASAN)
    std::atexit(register_leak_roots_at_exit);
#endif
    uv_loop_t first;  // so that libuv has seen to its own signals before we see to its loops
    if (uv_loop_init(&first) == 0) uv_loop_close(&first);
    pthread_atfork(&HoldWatch::before_fork, &HoldWatch::after_fork, &Hub::forked);
    return true;
  }();
  (void)prepared;
  Hub* hub = new Hub(options, nullptr);
  this_hub = hub;
#if defined(UVLET_ASAN)
  if (on_main_thread()) main_thread_hub = hub;
#endif
  return *hub;
}

Hub::Hub(const HubOptions& options, Root* survivor)
    : thread_(ThreadState::of_this_thread()), stacks_(options.stack_size, options.guard) {
  world_ = make_world(*this, options);
  world_->too_long = [this](Time until) {
    return !ready_.empty() || timers.next_deadline() < until;
  };
  loop_ = world_->loop();
  events_ = world_->epoll_set();
  void* stack = mmap(nullptr, loop_stack_bytes + StackArena::page_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, StackArena::page_bytes, PROT_NONE) != 0)
    throw std::system_error(errno, std::generic_category(), "no stack for the loop");
  loop_stack_ = static_cast<char*>(stack);
  loop_root_ = new PlainRoot(*this, Root::Kind::loop);
  main_ = survivor ? survivor : new PlainRoot(*this, Root::Kind::main);
  if (!survivor) main_->context = std::move(thread_context());
  current_ = main_;
  char* low = loop_stack_ + StackArena::page_bytes;
#if defined(UVLET_ASAN)
  __asan_unpoison_memory_region(low, loop_stack_bytes);  // left by a hub that has ended
#endif
  loop_stack_number_ = register_stack(low, low + loop_stack_bytes);
  loop_root_->sp = make_context(low + loop_stack_bytes, loop_stack_bytes, &entry_loop);
  loop_root_->set_stack(low, loop_stack_bytes);
  if (!survivor) {
    const ThreadStack own = thread_stack();
    main_->set_stack(own.low, own.size);
  }
#if defined(UVLET_TSAN)
  loop_root_->tsan_fiber = __tsan_create_fiber(0);
  if (!survivor) main_->tsan_fiber = __tsan_get_current_fiber();
#endif
  watch_ = std::make_unique<HoldWatch>();
  ++hub_count;
}

Hub::~Hub() {
  watch_.reset();
  --hub_count;
  timers.clear();  // of what would not end: they stand on the stacks
  while (senders_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  while (!idle_dispatchers_.empty()) stacks_.release(idle_dispatchers_.pop_front()->stack);
#if defined(UVLET_TSAN)
  __tsan_destroy_fiber(loop_root_->tsan_fiber);
#endif
  current_ = loop_root_;  // what the loop still calls may not block
  loop_ = nullptr;
  world_.reset();
  delete static_cast<PlainRoot*>(main_);
  delete static_cast<PlainRoot*>(loop_root_);
  while (!observers_.empty()) observers_.pop_front()->hub_ended();
  deregister_stack(loop_stack_number_);
  munmap(loop_stack_, loop_stack_bytes + StackArena::page_bytes);
}

// In the child: the old hub is left as it is, its loop shares the parent's epoll set; only its
// signals are taken from it, which libuv would report to the parent. On a new one
// lives who forked, with its Timeouts; the others stay behind on stacks that never run again.
void Hub::forked() {
  HoldWatch::after_fork_in_child();
  ++forks;
  Hub* old = this_hub;
  if (!old || !old->loop_) return;
  uv_walk(
      old->loop_,
      [](uv_handle_t* handle, void*) {
        if (handle->type == UV_SIGNAL && !uv_is_closing(handle))
          uv_signal_stop(reinterpret_cast<uv_signal_t*>(handle));
      },
      nullptr);
  if (!old->current_->may_wait()) return;
  Root& survivor = *old->current_;
  HubOptions options;
  options.stack_size = old->stacks_.stack_bytes();
  options.guard = old->stacks_.guard();
  hub_count = 0;
  thread_pool_gone();
  Hub* hub = new Hub(options, &survivor);
  hub->last_id_ = old->last_id_ + 1;
  hub->last_serial_ = old->last_serial_;
  survivor.hub = hub;
  // It runs, so that its timers are Timeouts.
  old->timers.move_to(hub->timers,
                      [&](const Timer& timer) { return timer.purpose().root == &survivor; });
  this_hub = hub;
#if defined(UVLET_ASAN)
  main_thread_hub = nullptr;  // what is parked in the child is nobody's
  __lsan_disable();
#endif
}

Hub& Hub::current() {
  hub_handed_out = true;
  return get();
}

void Hub::configure(const HubOptions& options) {
  if (this_hub) throw std::logic_error("Hub::configure: this thread has its hub already");
  StackArena checked(options.stack_size, options.guard);
  const std::lock_guard lock(options_mutex);
  next_options = options;
}

Time Hub::now() const noexcept { return world_->now(); }

HubStats Hub::stats() const noexcept {
  std::size_t ready = 0;
  for (Root* root : ready_) (void)root, ++ready;
  return {stacks_.in_use(), task_count_, ready,           timers.size(),  external,
          awaitlets,        polls_,      accepts_refused, stacks_.guard()};
}

void Hub::unwind() noexcept {
  ending_ = true;
  for (int round = 0; round < unwind_rounds_max; ++round) {
    const std::vector<Root*> left = alive();
    if (left.empty() && !posts_ && !posted()) return;
    for (Root* root : left) root->kill();
    step_back(*current_);
    if (round < 3) continue;
    struct Pause final : Timer {  // something that cannot stop at once is waited for
      Root* root;
      void expire() noexcept override { root->hub->make_ready(*root); }
    } pause;
    pause.root = current_;
    timers.start(pause, deadline_after(now(), 0.001));
    park(*current_);
  }
  std::fprintf(stderr, "uvlet: green threads that would not end with their OS thread:\n%s",
               list_parked().c_str());
}

void run_on_threads(int threads, const std::function<void(int)>& function) {
  if (threads < 1)
    throw std::invalid_argument("run_on_threads: " + std::to_string(threads) + " threads");
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(threads));
  std::vector<std::thread> running;
  for (int index = 0; index < threads; ++index)
    running.emplace_back([&, index] {
      try {
        function(index);
      } catch (...) {
        errors[static_cast<std::size_t>(index)] = std::current_exception();
      }
    });
  for (std::thread& thread : running) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

// Another thread needs a reference to this hub to post to it: it has one only if a hub was ever
// handed out, and only threads that are neither ours nor libuv's can use it.
bool Hub::others_may_post() const noexcept {
  if (world_->sealed()) return false;
  if (hub_count.load() > 1) return true;
  return hub_handed_out.load() && other_threads() > 0;
}

void Hub::register_leak_roots() noexcept {
#if defined(UVLET_ASAN)
  auto add = [this](const Root& root) {
    if (&root == current_ || !root.sp || !root.stack_low) return;
    auto* low = static_cast<char*>(root.sp);
    auto* high = static_cast<const char*>(root.stack_low) + root.stack_size;
    __lsan_register_root_region(low, static_cast<std::size_t>(high - low));
  };
  for (char* top : stacks_.used()) {
    auto& root = *reinterpret_cast<GreenRoot*>(top - root_offset(top));
    add(root);
    // A dispatcher whose stack is lent out is parked where its borrower is.
    if (root.kind == Root::Kind::dispatcher && !root.linked())
      __lsan_register_root_region(stacks_.low(top), stacks_.stack_bytes());
  }
  add(*main_);
  add(*loop_root_);
#endif
}

}  // namespace uvlet::inline UVLET_ABI

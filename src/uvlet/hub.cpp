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
constexpr int budget_max = 1024;
constexpr Time turn_interval_min = 20'000;  // ns between turns of the loop while others are busy
constexpr Time turn_interval_max = 200'000;
constexpr Time trim_interval = 1'000'000'000;
constexpr int unwind_rounds_max = 10'000;
constexpr Time post_pause = 10'000'000;  // until a post that lacked a stack or memory is run again

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

// A coroutine of another library that awaits an operation of ours. It lives for one wait.
struct ForeignRoot final : StacklessRoot {
  ForeignRoot(Hub& owner, std::coroutine_handle<> coroutine) noexcept
      : StacklessRoot(owner, Kind::foreign), awaiting(coroutine) {
    started = true;
  }
  std::coroutine_handle<> first_step() const noexcept override { return awaiting; }
  void off_stack() noexcept override { delete this; }
  void never_started() noexcept override {}
  std::coroutine_handle<> awaiting;
};

// The function of who forked has returned, in the child.
[[noreturn]] void end_child() {
#if defined(UVLET_ASAN)
  std::fflush(nullptr);
  _exit(0);  // what the others left behind is no leak
#else
  std::exit(0);
#endif
}

void set_stack(Context& context, const char* low, std::size_t size) noexcept {
#if defined(UVLET_ASAN)
  context.stack_low = low;
  context.stack_size = size;
#else
  (void)context, (void)low, (void)size;
#endif
}

#if defined(UVLET_ASAN)
Hub* main_thread_hub = nullptr;
void register_leak_roots_at_exit() {
  if (main_thread_hub) main_thread_hub->register_leak_roots();
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
  set_stack(*loop_root_, low, loop_stack_bytes);
  if (!survivor) {
    const ThreadStack own = thread_stack();
    set_stack(*main_, own.low, own.size);
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

// In the child: the old hub is left as it is, its loop shares the parent's epoll set. On a new one
// lives who forked, with its Timeouts; the others stay behind on stacks that never run again.
void Hub::forked() {
  HoldWatch::after_fork_in_child();
  ++forks;
  Hub* old = this_hub;
  if (!old || !old->current_->may_wait()) return;
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

// --- green threads and dispatchers -------------------------------------------------------------

GreenRoot* Hub::place_green(char* stack, std::size_t body_bytes, void* spawned_at,
                            Root::Kind kind) noexcept {
  renew_stack(stacks_.low(stack), stack);
  char* place = stack - root_offset(stack);
  auto* root = new (place) GreenRoot(*this, kind, spawned_at);
  char* body = place - (body_bytes + 63) / 64 * 64;
  root->body = body;
  root->stack = stack;
  root->sp = make_context(body, stacks_.stack_bytes(),
                          kind == Root::Kind::green ? &entry_green : &entry_dispatcher);
  set_stack(*root, stacks_.low(stack), stacks_.stack_bytes());
#if defined(UVLET_TSAN)
  root->tsan_fiber = stacks_.tsan_fiber(stack);
#endif
  return root;
}

UVLET_UNTRACED void Hub::entry_green(Transfer transfer) noexcept {
  Hub& hub = *this_hub;
  auto& self = static_cast<GreenRoot&>(*hub.current_);
  enter_context(transfer, self, hub.thread_);
  self.run(self);
  if (self.locals) [[unlikely]]
    self.free_locals();
  self.context = {};          // while it can still run what frees the values
  this_hub->end_green(self);  // another one, if it forked
}

UVLET_UNTRACED void Hub::end_green(GreenRoot& self) noexcept {
  if (&self == main_) end_child();
  char* stack = self.stack;
  self.~GreenRoot();
  Root* next = take_next();
  current_ = next;
  Context* target = next->sp ? next : dispatcher();  // before this stack is free to be taken
  stacks_.release(stack);
  leave_context(self, *target);
  std::abort();
}

Context* Hub::dispatcher() {
  if (!idle_dispatchers_.empty()) return idle_dispatchers_.pop_front();
  try {
    entering_ = place_green(stacks_.allocate(), 0, nullptr, Root::Kind::dispatcher);
    return entering_;
  } catch (...) {  // no stack for it now: it goes to the back of the line, and the loop runs
    ready_.push_back(current_);
    current_ = loop_root_;
    return loop_root_;
  }
}

void Hub::entry_dispatcher(Transfer transfer) noexcept {
  Hub& hub = *this_hub;
  GreenRoot& self = *hub.entering_;
  enter_context(transfer, self, hub.thread_);
  hub.dispatch(self);
}

void Hub::dispatch(GreenRoot& self) noexcept {
  Hub* hub = this;
  for (;;) {
    hub->current_->stands_on(self);
    hub->drive(static_cast<StacklessRoot&>(*hub->current_));
    hub = this_hub;  // another one, if it forked
    Root* next = hub->take_next();
    hub->current_ = next;
    if (!next->sp) continue;
    hub->idle_dispatchers_.push_front(&self);
    switch_context(self, *next, hub->thread_);
  }
}

void Hub::drive(StacklessRoot& root) noexcept {
  if (!root.started) {
    if (root.thrown) {
      root.never_started();
      return;
    }
    root.start();
  }
  *thread_.error = root.saved_errno;
  (root.waiting ? root.waiting->coroutine() : root.first_step()).resume();
  while (root.hub->step) std::exchange(root.hub->step, nullptr).resume();
  root.parked_at = last_turn_;
  // What it saved when it last parked was its stack's; now it has none.
  root.sp = nullptr;
  root.uncaught = 0;
  root.saved_errno = *thread_.error;
  root.off_stack();
}

StacklessRoot::StacklessRoot(Hub& owner, Kind what) noexcept : Root(owner, what) {
  owner.tasks_.push_back(this);
  ++owner.task_count_;
}

StacklessRoot::~StacklessRoot() {
  --hub->task_count_;
  if (this == hub->main_) end_child();
  if (this == hub->current_) hub->current_ = hub->loop_root_;  // nobody runs until the next one
}

StacklessRoot& Hub::adopt(std::coroutine_handle<> foreign) {
  return *new ForeignRoot(*this, foreign);
}

void Hub::yield_interrupted() {
  Root& self = *current_;
  if (!self.may_wait()) return;
  if (self.watched) self.waits();
  self.resume_interrupted(false);
  step_back(self);
  self.resume_interrupted(false);
}

// To the back of the line, by way of the loop: a Root that runs must not be popped by itself.
void Hub::step_back(Root& self) noexcept {
  ready_.push_back(&self);
  budget_ = 0;
  park(self);
}

// --- interrupts --------------------------------------------------------------------------------

void Hub::interrupt(Root& victim, std::exception_ptr error) {
  if (!error) {
    victim.kill();
    return;
  }
  auto* interrupt = new Interrupt;
  interrupt->error = std::move(error);
  interrupt->owned = true;
  victim.interrupt(*interrupt, true);
}

void Hub::kill(Root& victim, std::exception_ptr error) {
  Root& self = *current_;
  interrupt(victim, std::move(error));
  if (&victim == &self) {
    if (self.may_wait()) self.resume_interrupted(false);
    return;
  }
  // One that has been served already goes on with that, up to its next wait.
  if (!victim.linked() || !victim.interrupt_due() || !self.may_wait()) return;
  victim.unlink();
  ready_.push_back(&self);
  --budget_;
  switch_to(self, victim);
  if (self.attention) self.resume_interrupted(false);
}

bool Parked::attend(Root& root, bool in_spite) {
  if (!root.may_wait()) throw NoAwaitletContext();
  if (root.watched) root.waits();
  return in_spite || !root.take_interrupt();
}

void Parked::abandon() noexcept {
  if (root_->waiting != this) return;
  root_->waiting = nullptr;
  root_->unlink();
  if (root_->kind == Root::Kind::foreign) delete static_cast<ForeignRoot*>(root_);
}

// --- the loop ----------------------------------------------------------------------------------

void Hub::entry_loop(Transfer transfer) noexcept {
  Hub& hub = *this_hub;
  enter_context(transfer, *hub.loop_root_, hub.thread_);
  hub.turn();
}

void Hub::turn() noexcept {
  for (;;) {
    const bool idle = ready_.empty();
    Time until = idle && idle_waiters.empty() ? timers.next_deadline() : 0;
    Time time = now();
    if (posts_) [[unlikely]]
      until = std::min(until, time + post_pause);
    set_budget(time - last_turn_);
    if (until == never && deadlocked())
      report_deadlock();
    else if (idle || time - last_poll_ >= world_->poll_interval())
      time = poll(until);
    run_posts();
    last_turn_ = time;
    // At most as many as may then run before the next turn. What has come in time is in time.
    const bool told = events_ && events_->serve(budget_);
    timers.fire(time);
    if (!told && idle && ready_.empty() && time < timers.next_deadline())
      while (!idle_waiters.empty()) idle_waiters.front()->wake();
    Root* next = world_->next(ready_);
    if (!next) continue;
    current_ = next;
    Context* target = next->sp ? next : dispatcher();
    if (target == loop_root_) continue;
    watch_->resume(*next);
    switch_context(*loop_root_, *target, thread_);
    watch_->pause();
  }
}

Time Hub::poll(Time until) noexcept {
  if (last_poll_ - last_trim_ > trim_interval) {
    last_trim_ = last_poll_;
    stacks_.trim();
  }
  world_->poll(until);
  ++polls_;
  return last_poll_ = now();
}

// As many switches until the next turn as took about turn_interval: few where each runs for long.
void Hub::set_budget(Time elapsed) noexcept {
  const bool used_up = budget_ <= 0;
  if (elapsed > turn_interval_max)
    budget_full_ = std::max(budget_full_ / 4, 1);
  else if (used_up && elapsed < turn_interval_min)
    budget_full_ = std::min(budget_full_ * 2, budget_max);
  budget_ = world_->stepwise() || HoldWatch::on() ? 1 : budget_full_;
}

void Hub::send(Post& post) noexcept {
  senders_.fetch_add(1, std::memory_order_relaxed);
  Post* first = inbox_.load(std::memory_order_relaxed);
  do post.next = first;
  while (!inbox_.compare_exchange_weak(first, &post, std::memory_order_release,
                                       std::memory_order_relaxed));
  if (!first) world_->wake();
  senders_.fetch_sub(1, std::memory_order_release);
}

// Behind those that were taken before.
void Hub::take_inbox() noexcept {
  Post* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
  Post* oldest = nullptr;
  while (newest) {
    Post* following = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = following;
  }
  Post** end = &posts_;
  while (*end) end = &(*end)->next;
  *end = oldest;
}

void Hub::run_posts() noexcept {
  if (posted()) take_inbox();
  while (posts_) {
    Post* const following = posts_->next;
    try {
      posts_->run(*this);
    } catch (...) {  // no stack for it now, or no memory: none behind it overtakes it
      return;
    }
    posts_ = following;
  }
}

// --- deadlock ----------------------------------------------------------------------------------

bool Hub::deadlocked() const noexcept {
  return (external == 0 || world_->silent()) && timers.empty() &&
         !inbox_.load(std::memory_order_relaxed) && !world_->alive() && !others_may_post();
}

// Another thread needs a reference to this hub to post to it: it has one only if a hub was ever
// handed out, and only threads that are neither ours nor libuv's can use it.
bool Hub::others_may_post() const noexcept {
  if (world_->sealed()) return false;
  if (hub_count.load() > 1) return true;
  return hub_handed_out.load() && other_threads() > 0;
}

void Hub::report_deadlock() noexcept {
  std::string text = "deadlock: every green thread and coroutine waits, nothing can wake any:\n";
  text += list_parked();
  auto* interrupt = new Interrupt;
  interrupt->error = std::make_exception_ptr(Deadlock(text));
  interrupt->owned = true;
  main_->interrupt(*interrupt, true);
  if (ready_.empty()) {
    std::fputs(text.c_str(), stderr);
    std::abort();
  }
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

#pragma once

// The scheduler of one OS thread: a libuv loop, the Roots that are ready, timers, stacks.

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/list.hpp>
#include <uvlet/root.hpp>
#include <uvlet/stack.hpp>
#include <uvlet/switch.hpp>
#include <uvlet/timer.hpp>
#include <uvlet/traceback.hpp>

#include <atomic>
#include <cassert>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

typedef struct uv_loop_s uv_loop_t;

namespace uvlet::inline UVLET_ABI {

class EpollSet;
class HoldWatch;
class Hub;
class Waiter;
class World;

// How the hubs made after Hub::configure() are built.
struct HubOptions {
  using Guard = uvlet::Guard;

  HubOptions() noexcept {}
  std::size_t stack_size = 256 * 1024;  // bytes of address space a green thread; >= 16 KiB
  Guard guard = Guard::automatic;
  bool virtual_clock = false;                  // idle time is skipped: for tests
  std::optional<std::uint64_t> schedule_seed;  // the order of who is ready is random, and repeats
};

struct HubStats {
  std::size_t green_threads;  // alive, dispatchers included
  std::size_t tasks;          // top-level tasks alive
  std::size_t ready;
  std::size_t timers;
  std::size_t external;           // waits that the operating system or another thread will end
  std::uint64_t awaitlets;        // calls of green::awaitlet so far
  std::uint64_t polls;            // turns of the loop so far
  std::uint64_t accepts_refused;  // accepts that failed so far for want of descriptors or memory
  Guard guard;
};

// A green thread: its Root stands in the top page of its own stack, its function below it. A
// dispatcher is one that lends its stack to Roots that have none.
struct GreenRoot final : Root {
  GreenRoot(Hub& owner, Kind what, void* site) noexcept : Root(owner, what), spawn_site(site) {}
  ~GreenRoot() = default;
  void (*run)(GreenRoot&) noexcept = nullptr;
  void* body = nullptr;
  char* stack = nullptr;
  void* spawn_site;
  void* pool = nullptr;  // the GreenPool it works for
};

// A place in a hub's list of its StacklessRoots.
struct TaskLink : Link {};

// A Root without a stack of its own: a dispatcher's is lent to it whenever it is ready.
struct UVLET_API StacklessRoot : Root, TaskLink, FrameAllocated {
  StacklessRoot(Hub& owner, Kind what) noexcept;
  // What is resumed first.
  virtual std::coroutine_handle<> first_step() const noexcept = 0;
  // It gave up its stack: it is suspended, or has ended and must end itself.
  virtual void off_stack() noexcept = 0;
  // It was interrupted before its first step: it must end itself.
  virtual void never_started() noexcept = 0;

 protected:
  ~StacklessRoot();
};

// Something to be done on a hub's loop, sent from any thread.
struct Post {
  Post* next = nullptr;
  // On the loop's own stack; it owns itself. If it throws system_error or bad_alloc it is run again
  // later; it throws nothing else.
  virtual void run(Hub& hub) = 0;

 protected:
  ~Post() = default;
};

// What must know when its hub's loop has been closed.
struct HubObserver : Link {
  virtual void hub_ended() noexcept = 0;
  // What it waits for on the loop, in one line for reports; "": nothing.
  virtual std::string waits_for() const { return {}; }

 protected:
  ~HubObserver() = default;
};

extern UVLET_API constinit thread_local Hub* this_hub __attribute__((tls_model("initial-exec")));

// Whether this OS thread has called what may block since somebody began to watch for it. A call
// that need not wait looks at how many watch, in all threads, and no further; waits are noticed by
// Root::watched, which costs those nothing that nobody watches.
extern UVLET_API constinit thread_local bool blocking_called;
extern UVLET_API std::atomic<int> blocking_call_watches;
UVLET_API UVLET_COLD void set_blocking_called() noexcept;
UVLET_INLINE void notice_blocking_call() noexcept {
  if (blocking_call_watches.load(std::memory_order_relaxed) > 0) [[unlikely]]
    set_blocking_called();
}

class UVLET_API Hub {
 public:
  // The hub of this OS thread, made on first use. Throws logic_error after the thread's hub ended.
  static Hub& current();
  // Options of hubs that are made from now on. logic_error if this thread has its hub already.
  static void configure(const HubOptions& options);

  // libuv's loop, for handles of the user's own.
  uv_loop_t* loop() const noexcept { return loop_; }  // null while the hub ends
  // Runs `function` in a green thread of this hub. Thread-safe.
  template <class F>
  void post(F function);
  HubStats stats() const noexcept;

  // --- for the rest of the library and for who extends it; this hub's thread only

  UVLET_INLINE static Hub& get() {
    Hub* hub = this_hub;
    if (!hub) [[unlikely]]
      return make();
    return *hub;
  }
  // Null where there is none, or none any more.
  static Hub* existing() noexcept { return this_hub; }

  Root* running() const noexcept { return current_; }
  Root& main() noexcept { return *main_; }
  const ThreadState& thread() const noexcept { return thread_; }
  Time now() const noexcept;                              // a fresh clock
  Time last_turn() const noexcept { return last_turn_; }  // of the loop: a clock that costs nothing
  std::uint64_t next_id() noexcept { return ++last_id_; }
  std::uint64_t next_serial() noexcept { return ++last_serial_; }

  // What the driver that runs resumes next: set by co_await of a task and by final_suspend, which
  // return to it at once, so that it is null whenever anybody else runs.
  std::coroutine_handle<> step{};

  TimerHeap timers;
  std::size_t external = 0;   // waits that something outside this thread will end
  std::size_t offloaded = 0;  // of them, those that libuv's thread pool works on
  List<Waiter> idle_waiters;  // woken when nothing is ready and nothing is due
  std::uint64_t awaitlets = 0;
  std::uint64_t accepts_refused = 0;
  static constexpr int io_budget_full = 128;
  int io_budget = io_budget_full;  // calls for descriptors that need not wait, until one yields
  std::vector<Root*> deliveries;   // being interrupted: see Root::deliver

  UVLET_INLINE void make_ready(Root& root) noexcept {
    assert(!root.linked() && "a Root is made ready once a wait");
    ready_.push_back(&root);
  }
  // Of those that are ready, it is the next to run.
  void make_ready_first(Root& root) noexcept {
    root.unlink();
    ready_.push_front(&root);
  }

  // Suspends `self`, which runs, until somebody makes it ready.
  UVLET_INLINE void park(Root& self) noexcept { switch_to(self, *take_next()); }

  // The same for one that is ready already: it waits for its turn.
  UVLET_INLINE void park_ready(Root& self) noexcept {
    Root* next = take_next();
    if (next != &self) [[likely]]
      switch_to(self, *next);
  }

  // One of the two: an operation may have made the Root ready as it was started.
  UVLET_INLINE void wait_turn(Root& self) noexcept {
    if (self.linked()) [[unlikely]]
      park_ready(self);
    else
      park(self);
  }

  // Goes to the back of the line. Blocks the green thread. Cancel point.
  UVLET_INLINE void yield() {
    Root& self = *current_;
    if (self.attention) [[unlikely]]
      return yield_interrupted();
    ready_.push_back(&self);
    park_ready(self);
    if (self.attention) [[unlikely]]
      self.resume_interrupted(false);
  }

  // Kills or cancels: the victim runs, then what was ready, then the caller. A null error is
  // GreenletExit. Blocks the green thread. Cancel point.
  void kill(Root& victim, std::exception_ptr error);
  // The same without a switch: the victim is at the end of the line.
  void interrupt(Root& victim, std::exception_ptr error);

  // A green thread that will run body() when it is its turn; not in the ready list yet. Throws
  // system_error if there is no stack for it, and leaves `body` as it is then.
  template <class Body>
  GreenRoot& make_green(Body&& body, void* spawned_at);
  // A green thread that runs `function`; what it throws is reported.
  template <class F>
  void spawn(F function, void* spawned_at = nullptr);
  // A Root for a coroutine of another library that awaits an operation of ours. It ends with its
  // next off_stack().
  StacklessRoot& adopt(std::coroutine_handle<> foreign);

  void send(Post& post) noexcept;  // thread-safe
  bool posted() const noexcept { return inbox_.load(std::memory_order_relaxed) != nullptr; }
  bool ending() const noexcept { return ending_; }  // its OS thread ends, and kills what is left
  void observe(HubObserver& observer) noexcept { observers_.push_back(&observer); }
  const List<HubObserver>& observers() const noexcept { return observers_; }
  // "green thread 7 'name', waiting on sleep, spawned at f+0x12", a line for each one parked.
  std::string list_parked();
  std::string describe(Root& root);
  StackArena& stacks() noexcept { return stacks_; }
  World& world() noexcept { return *world_; }
  std::vector<Root*> alive();  // all but main, the loop and dispatchers
  HoldWatch& watch() noexcept { return *watch_; }
  // Every switch goes by way of the loop from now on, as long as that is asked for.
  void step_by_turns() noexcept { budget_ = 1; }
  // Registers what is parked with LeakSanitizer.
  void register_leak_roots() noexcept;

  ~Hub();

 private:
  friend struct HubGuard;
  friend struct StacklessRoot;

  // `survivor`: the one that forked, in the child; null: the thread's own stack is a new main Root.
  Hub(const HubOptions& options, Root* survivor);
  static void forked();
  UVLET_COLD static Hub& make();
  static void entry_green(Transfer transfer) noexcept;
  static void entry_dispatcher(Transfer transfer) noexcept;
  static void entry_loop(Transfer transfer) noexcept;

  UVLET_INLINE Root* take_next() noexcept {
    if (ready_.empty() || --budget_ <= 0) [[unlikely]]
      return loop_root_;
    return ready_.pop_front();
  }
  UVLET_INLINE void switch_to(Root& self, Root& next) noexcept {
    self.parked_at = last_turn_;
    current_ = &next;
    Context* target = &next;
    if (!next.sp) [[unlikely]]
      target = dispatcher();
    switch_context(self, *target, thread_);
  }
  UVLET_COLD void yield_interrupted();
  void step_back(Root& self) noexcept;
  UVLET_COLD Context* dispatcher();
  std::size_t root_offset(const char* stack) const noexcept {
    return stacks_.colour(stack) + StackArena::tail_bytes + (sizeof(GreenRoot) + 63) / 64 * 64;
  }
  GreenRoot* place_green(char* stack, std::size_t body_bytes, void* spawned_at,
                         Root::Kind kind = Root::Kind::green) noexcept;
  [[noreturn]] void end_green(GreenRoot& self) noexcept;
  [[noreturn]] void dispatch(GreenRoot& self) noexcept;
  void drive(StacklessRoot& root) noexcept;
  [[noreturn]] void turn() noexcept;
  Time poll(Time until) noexcept;
  void set_budget(Time elapsed) noexcept;
  void take_inbox() noexcept;
  void run_posts() noexcept;
  bool deadlocked() const noexcept;
  bool others_may_post() const noexcept;
  void report_deadlock() noexcept;
  void unwind() noexcept;

  Root* current_ = nullptr;
  int budget_ = 1;  // switches until the loop's turn
  List<Root> ready_;
  Time last_turn_ = 0;
  ThreadState thread_;
  Root* loop_root_;
  StackArena stacks_;
  uv_loop_t* loop_ = nullptr;

  std::unique_ptr<World> world_;
  EpollSet* events_ = nullptr;        // the world's; null: it has none
  std::unique_ptr<HoldWatch> watch_;  // of who holds the hub for too long
  Root* main_;
  List<TaskLink> tasks_;
  std::size_t task_count_ = 0;
  List<HubObserver> observers_;
  List<GreenRoot> idle_dispatchers_;
  GreenRoot* entering_ = nullptr;  // a dispatcher on its way to its first step
  std::uint64_t last_id_ = 0;
  std::uint64_t last_serial_ = 0;
  std::uint64_t polls_ = 0;
  Time last_poll_ = 0;
  Time dispatch_began_ = 0;  // of those that were ready, after the loop's last turn
  Time last_trim_ = 0;
  int budget_full_ = 64;
  bool ending_ = false;
  char* loop_stack_ = nullptr;
  unsigned loop_stack_number_ = 0;  // valgrind's

  Post* posts_ = nullptr;              // taken out of the inbox, oldest first
  std::atomic<Post*> inbox_{nullptr};  // newest first
  std::atomic<int> senders_{0};        // within send(): the hub may not end under them
};

inline Root::Root(Hub& owner, Kind what) noexcept : hub(&owner), kind(what), id(owner.next_id()) {
  attention = kind == Kind::loop;
  if (kind == Kind::task) depth = 1;
  parked_at = owner.last_turn();
  const Root* creator = owner.running();
  if (creator && creator->context && kind != Kind::dispatcher) [[unlikely]]
    context = creator->copy_context();
}

inline void* Root::spawned_at() const noexcept {
  return kind == Kind::green ? static_cast<const GreenRoot*>(this)->spawn_site : nullptr;
}

inline Scope::Scope(Root& root) noexcept
    : root_(root), outer_(root.scope), serial_(root.hub->next_serial()) {
  root.scope = this;
}
inline Scope::~Scope() { root_.scope = outer_; }

template <class Body>
GreenRoot& Hub::make_green(Body&& body, void* spawned_at) {
  using Stored = std::decay_t<Body>;
  static_assert(alignof(Stored) <= 64, "over-aligned arguments must be passed by pointer");
  char* stack = stacks_.allocate();
  GreenRoot* root = place_green(stack, sizeof(Stored), spawned_at);
  try {
    new (root->body) Stored(std::forward<Body>(body));
  } catch (...) {
    root->~GreenRoot();
    stacks_.release(stack);
    throw;
  }
  root->run = [](GreenRoot& self) noexcept {
    auto* stored = static_cast<Stored*>(self.body);
    (*stored)(self);
    stored->~Stored();
  };
  return *root;
}

// Prints, if hub_exceptions is on, what a green thread ended with. GreenletExit is no error.
UVLET_API void report_exception(Root& root, const std::exception_ptr& error) noexcept;
UVLET_API extern std::atomic<bool> report_exceptions;
// How often this process is the child of a fork that its parent did after its first hub.
UVLET_API extern std::atomic<std::uint64_t> forks;

namespace detail {

// A function whose result nobody waits for: what it throws is reported.
template <class F>
struct Reported {
  F function;
  void operator()(Root& self) noexcept {
    try {
      self.start();
      function();
    } catch (...) {
      report_exception(self, caught_exception(&self));
    }
  }
};

}  // namespace detail

template <class F>
void Hub::spawn(F function, void* spawned_at) {
  make_ready(make_green(detail::Reported<F>{std::move(function)}, spawned_at));
}

template <class F>
void Hub::post(F function) {
  struct Spawn final : Post {
    explicit Spawn(F f) : body{std::move(f)} {}
    detail::Reported<F> body;
    void run(Hub& hub) override {
      hub.make_ready(hub.make_green(std::move(body), nullptr));
      delete this;
    }
  };
  send(*new Spawn(std::move(function)));
}

// The address of the instruction it is inlined at: "spawned where" in reports.
UVLET_INLINE void* this_address() noexcept {
  void* address;
  __asm__ volatile("lea 0(%%rip), %0" : "=r"(address));
  return address;
}

// One hub on each of `threads` new OS threads; each runs function(index) as its main green thread.
// Waits for all of them. Blocks the OS thread. Rethrows the first exception.
UVLET_API void run_on_threads(int threads, const std::function<void(int)>& function);

}  // namespace uvlet::inline UVLET_ABI

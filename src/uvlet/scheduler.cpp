// Who runs next: green threads and dispatchers, interrupts, the turns of the loop.

#include <uvlet/hub.hpp>
#include <uvlet/waiter.hpp>

#include "epoll_set.hpp"
#include "hold_watch.hpp"
#include "valgrind.hpp"
#include "world.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <system_error>
#include <unistd.h>

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr int budget_max = 1024;
constexpr Time turn_interval_min = 20'000;  // ns between turns of the loop while others are busy
constexpr Time turn_interval_max = 200'000;
constexpr int served_min = 32;  // events in a turn: what receives together
constexpr Time trim_interval = 1'000'000'000;
constexpr Time post_pause = 10'000'000;  // until a post that lacked a stack or memory is run again

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

}  // namespace

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
  root->set_stack(stacks_.low(stack), stacks_.stack_bytes());
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
    set_budget(time - dispatch_began_);
    if (until == never && deadlocked())
      report_deadlock();
    else if (idle || time - last_poll_ >= world_->poll_interval())
      time = poll(until);
    run_posts();
    last_turn_ = time;
    // As many as may then run before the next turn, or as receive together. What has come in time
    // is in time.
    const bool told = events_ && events_->serve(std::max(budget_, served_min));
    timers.fire(time);
    dispatch_began_ = told ? now() : time;
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
    } catch (const std::system_error&) {  // no stack for it now: none behind it overtakes it
      return;
    } catch (const std::bad_alloc&) {
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

}  // namespace uvlet::inline UVLET_ABI

#include <uvlet/hub.hpp>
#include <uvlet/root.hpp>
#include <uvlet/waiter.hpp>

#include <new>
#include <vector>

namespace uvlet::inline UVLET_ABI {

namespace {
const char* default_prefix(bool main) noexcept { return main ? "main-" : "green-thread-"; }
}  // namespace

Identity::~Identity() = default;

void Identity::destroy() noexcept {
  if (root) root->identity = nullptr;  // not held by it, else there would be a reference left
  delete this;
}

const char* Identity::name_prefix() const noexcept {
  return default_prefix(root && root->kind == Root::Kind::main);
}

const std::string& Identity::name() {
  if (!name_) name_ = std::make_unique<std::string>(name_prefix() + std::to_string(id));
  return *name_;
}

std::string Identity::default_name(bool main, std::uint64_t id) {
  return default_prefix(main) + std::to_string(id);
}

void Identity::set_name(std::string name) {
  name_ = std::make_unique<std::string>(std::move(name));
  if (root && !root->holds_identity) {  // else the name would go with the last handle
    retain();
    root->holds_identity = true;
  }
}

// The outermost interrupt wins: what it unwinds includes the frames that wait for the others.
void Scope::force(const std::exception_ptr& error, std::uint64_t level) noexcept {
  if (forced_ && forced_level_ < level) return;
  forced_ = error;
  forced_level_ = level;
}

void InterruptQueue::push_front(Interrupt& interrupt) noexcept {
  if (!last_) last_ = interrupt.next = &interrupt;
  interrupt.next = std::exchange(last_->next, &interrupt);
}

void InterruptQueue::push_urgent(Interrupt& interrupt) noexcept {
  if (empty() || !front()->owned) return push_front(interrupt);
  Interrupt* before = front();
  while (before != last_ && before->next->owned) before = before->next;
  interrupt.next = std::exchange(before->next, &interrupt);
  if (before == last_) last_ = &interrupt;
}

void InterruptQueue::remove(Interrupt& interrupt) noexcept {
  Interrupt* before = last_;
  while (before->next != &interrupt) before = before->next;
  before->next = interrupt.next;
  if (last_ == &interrupt) last_ = before == &interrupt ? nullptr : before;
  interrupt.next = nullptr;
}

Root::~Root() {
  if (locals) free_locals();
  if (identity) {
    identity->root = nullptr;
    identity->started = started;
    identity->finished = true;
    if (holds_identity) identity->release();
  }
  clear_interrupts();
}

void Root::drop_interrupts() noexcept {
  while (!pending.empty()) {
    Interrupt* interrupt = pending.front();
    pending.remove(*interrupt);
    if (interrupt->owned) delete interrupt;
  }
  killed = false;
  thrown = nullptr;
  refresh_attention();
}

Handle<Identity> Root::identify() {
  if (identity) return Handle<Identity>::share(identity);
  attach_identity(*new Identity);
  return Handle<Identity>::adopt(identity);
}

ContextVars& Root::own_context() {
  if (!context) context = Handle<ContextVars>::adopt(new ContextVars);
  return *context;
}

std::coroutine_handle<> innermost_coroutine(const Root& root) noexcept {
  if (root.waiting) return root.waiting->coroutine();
  if (root.kind != Root::Kind::task || root.started) return nullptr;
  return static_cast<const StacklessRoot&>(root).first_step();
}

Handle<ContextVars>& thread_context() noexcept {
  static thread_local Handle<ContextVars> context;
  return context;
}

unsigned int Root::uncaught_now() const noexcept {
  return hub->running() == this ? hub->thread().exceptions->uncaught : uncaught;
}

void Root::refresh_attention() noexcept {
  attention =
      kind == Kind::loop || killed || thrown || watched || cancel_requested || !pending.empty();
}

void Root::waits() noexcept {
  set_blocking_called();
  watched = false;
  refresh_attention();
}

Interrupt* Root::first_deliverable() noexcept {
  if (pending.empty()) return nullptr;
  const unsigned int now = uncaught_now();
  Interrupt* interrupt = pending.front();
  while (interrupt && now > interrupt->uncaught) interrupt = pending.after(interrupt);
  return interrupt;
}

bool Root::interrupt_due() noexcept {
  return thrown || (shields == 0 && ((killed && uncaught_now() == 0) || first_deliverable()));
}

bool Root::holds_interrupt(const std::type_info& type) const noexcept {
  const auto is = [&](const std::exception_ptr& error) {
    return error && *error.__cxa_exception_type() == type;
  };
  if (is(thrown)) return true;
  if (pending.empty()) return false;
  const Interrupt* interrupt = pending.front();
  while (interrupt && !(interrupt->owned && is(interrupt->error)))
    interrupt = pending.after(interrupt);
  return interrupt;
}

bool Root::take_interrupt() noexcept {
  if (shields > 0 || thrown) return thrown != nullptr;
  if (killed && uncaught_now() == 0) {
    killed = false;
    take(std::make_exception_ptr(GreenletExit()), 0);
  } else if (Interrupt* interrupt = first_deliverable()) {
    pending.remove(*interrupt);
    take(interrupt->error, interrupt->level);
    if (interrupt->owned) delete interrupt;
  }
  refresh_attention();
  return thrown != nullptr;
}

// The boundaries that it crosses hear of it here: none is left or made until it is thrown.
void Root::take(std::exception_ptr error, std::uint64_t level) noexcept {
  thrown = std::move(error);
  crosses = scope && scope->serial_ > level;
  for (Scope* crossed = scope; crossed && crossed->serial_ > level; crossed = crossed->outer_)
    crossed->force(thrown, level);
}

void Root::interrupt(Interrupt& interrupt, bool urgent) noexcept {
  if (urgent)
    pending.push_urgent(interrupt);
  else
    pending.push_back(interrupt);
  attention = true;
  deliver();
}

void Root::withdraw(Interrupt& interrupt) noexcept {
  pending.remove(interrupt);
  refresh_attention();
}

void Root::kill() noexcept {
  killed = true;
  attention = true;
  deliver();
}

// Cancelling what a Root waits for may interrupt others: a list, not recursion, holds them, but
// where there is no memory for it.
void Root::deliver() noexcept {
  std::vector<Root*>& queue = hub->deliveries;
  bool listed = true;
  try {
    queue.push_back(this);
  } catch (const std::bad_alloc&) {
    listed = false;
  }
  if (!listed) {
    const bool again = delivered;
    deliver_one();
    delivered = again;
    return;
  }
  if (queue.size() > 1) return;
  for (std::size_t next = 0; next < queue.size(); ++next) queue[next]->deliver_one();
  for (Root* root : queue) root->delivered = false;
  queue.clear();
}

void Root::deliver_one() noexcept {
  const bool again = delivered;  // what it was asked to end leads back to it
  delivered = true;
  if (hub->running() == this || (again && cancel_requested)) return;
  deliver_now();
}

void Root::deliver_now() noexcept {
  if (thrown || !interrupt_due()) return;
  if (cancel_requested) {  // it ends anyway; what it waits for hears of this one as well
    waiting->cancel_again();
    return;
  }
  if (waiting) {
    const Cancel answer = waiting->cancel();
    cancel_requested = answer == Cancel::later;
    refresh_attention();
    if (answer != Cancel::done) return;
  }
  take_interrupt();
  if (!linked() && waiting) waiting->make_ready();  // it is linked if it yielded, or has been woken
}

void Root::raise(bool in_coroutine) {
  const std::exception_ptr error = std::exchange(thrown, nullptr);
  refresh_attention();
  if (in_coroutine && crosses) throw CancelledError();
  rethrow(error);
}

void Root::resume_interrupted(bool in_coroutine) {
  if (take_interrupt()) raise(in_coroutine);
}

void Root::operation_interrupted(bool in_coroutine) {
  const bool requested = cancel_requested;
  cancel_requested = false;
  if (thrown || (requested && take_interrupt())) raise(in_coroutine);
  refresh_attention();
}

}  // namespace uvlet::inline UVLET_ABI

#pragma once

#include <aio/future.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace aio {

// A Future of any type, of a task: a shared handle. One that is no task's is false, and its members
// throw InvalidStateError.
class AnyTask {
 public:
  AnyTask() noexcept = default;
  explicit AnyTask(uvlet::Handle<detail::FutureBase> state) noexcept : state_(std::move(state)) {}
  template <class T>
  explicit AnyTask(const Future<T>& future)
      : state_(uvlet::Handle<detail::FutureBase>::share(future.state().get())) {}

  explicit operator bool() const noexcept { return static_cast<bool>(state_); }
  std::uint64_t id() const { return shared().id; }
  const std::string& name() const { return shared().name(); }
  void set_name(std::string name) { shared().set_name(std::move(name)); }
  bool done() const { return shared().finished; }
  bool cancelled() const { return shared().cancelled(); }
  // Throws CancelledError into its coroutine on the next turn. False if it is done.
  bool cancel() { return shared().cancel(); }

  friend bool operator==(const AnyTask& a, const AnyTask& b) noexcept {
    return a.state_.get() == b.state_.get();
  }

 private:
  detail::FutureBase& shared() const {
    if (!state_) throw InvalidStateError("no task: nothing can be asked of it");
    return *state_;
  }

  uvlet::Handle<detail::FutureBase> state_;
};

// The task that runs: that of the outermost coroutine, whose Future create_task gave. False outside
// of one, and so in coroutines that a green thread awaits, which are part of that. A task
// whose result holds its own handle keeps itself alive. Source: asyncio.current_task.
UVLET_API AnyTask current_task();

// The name of the task that runs; outside of one, of the green thread.
UVLET_API std::string current_task_name();

// The tasks of this hub that are not done, in the order in which they were created.
UVLET_API std::vector<AnyTask> all_tasks();

}  // namespace aio

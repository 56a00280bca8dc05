#pragma once

#include <aio/future.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace aio {

// A Future of any type, of a task: a shared handle.
class AnyTask {
 public:
  explicit AnyTask(uvlet::Handle<detail::FutureBase> state) noexcept : state_(std::move(state)) {}

  std::uint64_t id() const noexcept { return state_->id; }
  const std::string& name() const { return state_->name(); }
  void set_name(std::string name) { state_->set_name(std::move(name)); }
  bool done() const noexcept { return state_->finished; }
  bool cancelled() const noexcept { return state_->cancelled(); }
  // Throws CancelledError into its coroutine on the next turn. False if it is done.
  bool cancel() noexcept { return state_->cancel(); }

  friend bool operator==(const AnyTask& a, const AnyTask& b) noexcept {
    return a.state_.get() == b.state_.get();
  }

 private:
  uvlet::Handle<detail::FutureBase> state_;
};

// The name of the task that runs; outside of one, of the green thread.
UVLET_API std::string current_task_name();

// The tasks of this hub that are not done, in the order in which they were created.
UVLET_API std::vector<AnyTask> all_tasks();

}  // namespace aio

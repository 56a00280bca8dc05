#pragma once

#include <aio/future.hpp>

#include <exception>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace aio {

// Several things that went wrong. Source: Python's ExceptionGroup.
struct UVLET_API ExceptionGroup : std::runtime_error {
  // what() names each of them.
  ExceptionGroup(const std::string& message, std::vector<std::exception_ptr> exceptions);
  const std::vector<std::exception_ptr>& exceptions() const noexcept { return *exceptions_; }

 private:
  std::shared_ptr<const std::vector<std::exception_ptr>> exceptions_;  // copying may not throw
};

// Tasks that end together: when one fails the others are cancelled. Destroying a group whose tasks
// have not ended cancels them and waits for their ends, whatever interrupts meanwhile.
// Blocks the green thread. Cancel point. Source: asyncio.TaskGroup.
class UVLET_API TaskGroup {
 public:
  TaskGroup() noexcept = default;
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts a task of the group; one of its tasks may do so too. Throws logic_error after one has
  // failed, and after join() has ended.
  template <class T>
  Future<T> create_task(task<T> work, std::string name = {}) {
    require_open();
    Future<T> future = aio::create_task(std::move(work), std::move(name));
    add(uvlet::Handle<detail::FutureBase>::share(future.state().get()));
    return future;
  }
  template <awaitable A>
  Future<await_result_t<A>> create_task(A work, std::string name = {}) {
    return create_task(as_task(std::move(work)), std::move(name));
  }

  // Waits until all have ended; throws ExceptionGroup if any has failed. One that was cancelled, or
  // killed, has not failed. Cancelling it cancels all of them, and waits for their ends.
  task<void> join();

 private:
  struct Child final : uvlet::Listener {
    TaskGroup* group = nullptr;
    uvlet::Handle<detail::FutureBase> future;
    std::list<Child>::iterator self;
    void notify() noexcept override { group->ended(*this); }
  };
  class Join;

  void require_open() const;
  void add(uvlet::Handle<detail::FutureBase> future);
  void ended(Child& child) noexcept;
  void cancel_all() noexcept;

  std::list<Child> children_;  // that have not ended
  std::vector<std::exception_ptr> errors_;
  uvlet::List<uvlet::Listener> joining_;
  bool joined_ = false;
};

}  // namespace aio

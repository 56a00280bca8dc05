#include <aio/task_group.hpp>
#include <uvlet/timeout.hpp>

namespace aio {
namespace {

std::string list(const std::string& message, const std::vector<std::exception_ptr>& exceptions) {
  std::string text = message + " (" + std::to_string(exceptions.size()) +
                     (exceptions.size() == 1 ? " sub-exception)" : " sub-exceptions)");
  for (const std::exception_ptr& one : exceptions) text += "; " + uvlet::describe(one);
  return text;
}

// Whether it was ended from outside, which is no failure.
bool was_stopped(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const CancelledError&) {
    return true;
  } catch (const uvlet::GreenletExit&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

ExceptionGroup::ExceptionGroup(const std::string& message,
                               std::vector<std::exception_ptr> exceptions)
    : std::runtime_error(list(message, exceptions)),
      exceptions_(std::make_shared<const std::vector<std::exception_ptr>>(std::move(exceptions))) {}

// The wait until no task is left.
class TaskGroup::Join final : public uvlet::Operation<Join> {
 public:
  static constexpr bool forwards_cancel = true;
  explicit Join(TaskGroup& group) noexcept : group_(group) {}
  Join(Join&&) noexcept = default;

  bool ready() const noexcept { return group_.children_.empty(); }
  void suspend(uvlet::Hub&) noexcept { group_.joining_.push_back(this); }
  void result() const noexcept {}
  uvlet::Cancel cancel() noexcept override {
    if (ready()) return uvlet::Cancel::done;
    group_.cancel_all();
    return uvlet::Cancel::later;
  }
  const char* describe() const noexcept override { return "a group of tasks"; }

 private:
  TaskGroup& group_;
};

TaskGroup::~TaskGroup() {
  if (children_.empty()) return;
  const uvlet::Shield shield;
  cancel_all();
  uvlet::block(Join(*this));
}

task<void> TaskGroup::join() {
  std::exception_ptr interrupted;
  try {
    Join wait(*this);
    co_await std::move(wait);
  } catch (...) {
    interrupted = std::current_exception();
  }
  joined_ = true;
  if (!errors_.empty())
    throw ExceptionGroup("unhandled errors in a TaskGroup", std::exchange(errors_, {}));
  if (interrupted) std::rethrow_exception(interrupted);
}

void TaskGroup::require_open() const {
  if (!errors_.empty()) throw std::logic_error("a TaskGroup in which a task has failed");
  if (joined_) throw std::logic_error("a TaskGroup that was joined");
}

void TaskGroup::add(uvlet::Handle<detail::FutureBase> future) {
  Child& child = children_.emplace_back();
  child.group = this;
  child.self = std::prev(children_.end());
  child.future = std::move(future);
  child.future->retrieve();
  child.future->outcome().listen(child);
}

void TaskGroup::ended(Child& child) noexcept {
  const uvlet::Handle<detail::FutureBase> future = std::move(child.future);
  children_.erase(child.self);
  const std::exception_ptr& error = future->outcome().error();
  if (error && !was_stopped(error)) {
    errors_.push_back(error);
    if (errors_.size() == 1) cancel_all();
  }
  if (children_.empty())
    while (!joining_.empty()) joining_.pop_front()->notify();
}

void TaskGroup::cancel_all() noexcept {
  for (Child& child : children_) child.future->cancel();
}

}  // namespace aio

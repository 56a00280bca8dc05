#include <aio/tasks.hpp>

namespace aio {
namespace {

// None for the Root of a green thread, and of a task that has no Future.
AnyTask task_of(const uvlet::Root& root) {
  if (root.kind != uvlet::Root::Kind::task) return AnyTask();
  auto* state = dynamic_cast<detail::FutureBase*>(root.identity);
  return state ? AnyTask(uvlet::Handle<detail::FutureBase>::share(state)) : AnyTask();
}

}  // namespace

AnyTask current_task() { return task_of(*uvlet::Hub::get().running()); }

std::string current_task_name() { return uvlet::Hub::get().running()->identify()->name(); }

std::vector<AnyTask> all_tasks() {
  std::vector<AnyTask> tasks;
  for (const uvlet::Root* root : uvlet::Hub::get().alive())
    if (AnyTask task = task_of(*root)) tasks.push_back(std::move(task));
  return tasks;
}

}  // namespace aio

#include <aio/tasks.hpp>

namespace aio {

std::string current_task_name() { return uvlet::Hub::get().running()->identify()->name(); }

std::vector<AnyTask> all_tasks() {
  std::vector<AnyTask> tasks;
  for (uvlet::Root* root : uvlet::Hub::get().alive()) {
    if (root->kind != uvlet::Root::Kind::task) continue;
    if (auto* state = dynamic_cast<detail::FutureBase*>(root->identity))
      tasks.emplace_back(uvlet::Handle<detail::FutureBase>::share(state));
  }
  return tasks;
}

}  // namespace aio

// How Roots are named in reports: deadlock, overflow, uncaught exceptions.

#include <uvlet/backtrace.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/waiter.hpp>

#include "names.hpp"

#include <cxxabi.h>

namespace uvlet::inline UVLET_ABI {

const char* kind_name(Root::Kind kind) noexcept {
  switch (kind) {
    case Root::Kind::main: return "the main green thread";
    case Root::Kind::loop: return "the loop";
    case Root::Kind::dispatcher: return "a dispatcher";
    case Root::Kind::task: return "task";
    case Root::Kind::foreign: return "foreign coroutine";
    case Root::Kind::green: break;
  }
  return "green thread";
}

std::string describe(const std::exception_ptr& error) {
  std::string type = "an exception";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return demangled(abi::__cxa_current_exception_type()->name()) + ": " + exception.what();
  } catch (const BaseException& exception) {
    return demangled(abi::__cxa_current_exception_type()->name()) + ": " + exception.what();
  } catch (...) {
    if (auto* info = abi::__cxa_current_exception_type()) type = demangled(info->name());
  }
  return type;
}

std::string Hub::describe(Root& root) {
  std::string text = kind_name(root.kind);
  if (root.kind != Root::Kind::main) text += " " + std::to_string(root.id);
  if (root.identity) text += " '" + root.identity->name() + "'";
  if (root.waiting) text += std::string(", waiting on ") + root.waiting->describe();
  if (void* site = root.spawned_at()) text += ", spawned at " + symbol(site);
  return text;
}

std::vector<Root*> Hub::alive() {
  std::vector<Root*> roots;
  for (char* top : stacks_.used()) {
    auto* root = reinterpret_cast<GreenRoot*>(top - root_offset(top));
    if (root->kind == Root::Kind::green) roots.push_back(root);
  }
  for (TaskLink* task : tasks_) roots.push_back(static_cast<StacklessRoot*>(task));
  return roots;
}

std::string Hub::list_parked() {
  std::string text;
  auto add = [&](Root& root) {
    if (root.waiting) text += "  " + describe(root) + "\n";
  };
  add(*main_);
  for (Root* root : alive()) add(*root);
  return text;
}

}  // namespace uvlet::inline UVLET_ABI

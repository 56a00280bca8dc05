#include <green/debug.hpp>
#include <green/transitions.hpp>
#include <uvlet/backtrace.hpp>
#include <uvlet/detect_blocking.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/traceback.hpp>
#include <uvlet/waiter.hpp>

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <ostream>

namespace green::debug {
namespace {

double seconds(uvlet::Time time) noexcept { return static_cast<double>(time) * 1e-9; }

const char* state_of(const uvlet::Root& root) noexcept {
  if (&root == root.hub->running()) return "running";
  if (!root.started) return "unstarted";
  return root.linked() || !root.waiting ? "ready" : "waiting";
}

GreenletInfo info(uvlet::Root& root, uvlet::Time now) {
  const bool main = root.kind == uvlet::Root::Kind::main;
  return {root.id,
          root.identity ? root.identity->name() : uvlet::Identity::default_name(main, root.id),
          state_of(root),
          root.waiting && !root.linked() ? root.waiting->describe() : "",
          seconds(now - (&root == root.hub->running() ? root.hub->last_turn() : root.parked_at)),
          root.spawned_at()};
}

}  // namespace

void transitions(bool on) noexcept { uvlet::CrossingWatch::set(uvlet::CrossingWatch::counted, on); }

void exception_traces(bool on) noexcept { uvlet::exception_traces(on); }

std::string traceback(const std::exception_ptr& exception) { return uvlet::traceback(exception); }

void hub_exceptions(bool on) noexcept { uvlet::report_exceptions = on; }

void hub_blocking_detection(bool on, Duration resolution) {
  uvlet::detect_blocking(on, resolution);
}

std::vector<GreenletInfo> ps() {
  uvlet::Hub& hub = uvlet::Hub::get();
  const uvlet::Time now = hub.now();
  std::vector<uvlet::Root*> roots = hub.alive();
  std::sort(roots.begin(), roots.end(),
            [](const uvlet::Root* a, const uvlet::Root* b) { return a->id < b->id; });
  std::vector<GreenletInfo> all{info(hub.main(), now)};
  for (uvlet::Root* root : roots) all.push_back(info(*root, now));
  return all;
}

void print_ps(std::ostream& out) {
  out << "    id state     for seconds name, what it waits on, where it was spawned\n";
  for (const GreenletInfo& one : ps()) {
    char seconds_text[32];
    std::snprintf(seconds_text, sizeof seconds_text, "%11.3f", one.for_seconds);
    out << std::setw(6) << one.id << ' ' << std::left << std::setw(9) << one.state << std::right
        << ' ' << seconds_text << ' ' << one.name;
    if (!one.waiting_on.empty()) out << ", " << one.waiting_on;
    if (one.spawned_at) out << ", " << format_address(one.spawned_at);
    out << '\n';
  }
}

std::optional<Greenlet> find(std::uint64_t id) {
  uvlet::Hub& hub = uvlet::Hub::get();
  if (hub.main().id == id) return Greenlet(hub.main().identify());
  for (uvlet::Root* root : hub.alive())
    if (root->id == id) return Greenlet(root->identify());
  return std::nullopt;
}

std::vector<void*> backtrace(const Greenlet& greenlet) {
  if (!greenlet.identity() || !greenlet.identity()->root) return {};
  return uvlet::backtrace(*greenlet.identity()->root);
}

std::string format_address(void* address) { return uvlet::symbol(address); }

std::string format_hub_listeners() {
  std::string text;
  for (const uvlet::HubObserver* observer : uvlet::Hub::get().observers())
    if (const std::string line = observer->waits_for(); !line.empty()) text += line + "\n";
  return text;
}

std::string format_hub_timers() {
  uvlet::Hub& hub = uvlet::Hub::get();
  const uvlet::Time now = hub.now();
  std::string text;
  for (const auto& [deadline, timer] : hub.timers.list()) {
    const uvlet::Timer::Purpose purpose = timer->purpose();
    char due[32];
    std::snprintf(due, sizeof due,
                  "in %.3f s: ", seconds(std::max(deadline - now, uvlet::Time{0})));
    text += std::string(due) + purpose.what;
    if (purpose.root) text += " for " + hub.describe(*purpose.root);
    text += "\n";
  }
  return text;
}

}  // namespace green::debug

#include <uvlet/backtrace.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/traceback.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <typeinfo>
#include <unordered_map>
#include <variant>

#include "frames.hpp"
#include "names.hpp"

namespace uvlet::inline UVLET_ABI {

std::atomic<unsigned> CrossingWatch::active{0};

namespace {

using Destructor = void (*)(void*);

constexpr std::size_t steps_max = 256;

// What stands before every exception object, by the Itanium C++ ABI.
struct Header {
  std::type_info* type;
  Destructor destroy;
  void (*unexpected)();
  void (*terminate)();
  void* next;
  int handler_count;
  int handler_switch_value;
  const void* action_record;
  const void* language_specific_data;
  void* catch_temporary;
  void* adjusted;
  _Unwind_Exception unwind;

  static Header& of(void* object) noexcept { return static_cast<Header*>(object)[-1]; }
};

// That a green thread or task ended.
struct End {
  Root::Kind kind;
  std::uint64_t id;
  std::string name;  // "": it was given none
  void* spawned_at;
};
using Step = std::variant<void*, CallSite, End>;

// The way of one exception. It lives as long as the exception object, whose destructor it stands in
// for.
struct Way {
  Destructor destroy = nullptr;
  std::vector<Step> steps;
  FrameList raised;  // the stack where it was last thrown; of it, some frames are left by now

  // `here` is the stack on which it was caught: what lies on both is not left.
  void leave(const FrameList& here) {
    for (std::size_t i = 0; i < raised.count && !here.contains(raised, i); ++i)
      add(raised.frames[i]);
    raised.count = 0;
  }
  void add(Step step) {
    if (steps.size() < steps_max) steps.push_back(std::move(step));
  }
};

struct Ways {
  std::mutex mutex;
  std::unordered_map<void*, Way> of;
};

// Never destroyed: exceptions may be thrown while the process ends.
Ways& ways() noexcept {
  static Ways* const all = new Ways;
  return *all;
}

// An exception that is thrown in here, for want of memory, is not traced.
constinit thread_local bool tracing = false;
struct Tracing {
  Tracing() noexcept { tracing = true; }
  ~Tracing() { tracing = false; }
};

bool on() noexcept { return CrossingWatch::is(CrossingWatch::traced) && !tracing; }

bool interrupts(const std::type_info& type) noexcept {
  return type == typeid(GreenletExit) || type == typeid(CancelledError);
}

void* object_of(const std::exception_ptr& error) noexcept {
  void* object;
  static_assert(sizeof object == sizeof error);
  std::memcpy(&object, static_cast<const void*>(&error), sizeof object);
  return object;
}

void destroy_traced(void* object) {
  Destructor destroy;
  {
    Ways& all = ways();
    const std::lock_guard lock(all.mutex);
    const auto found = all.of.find(object);
    destroy = found->second.destroy;
    all.of.erase(found);
  }
  if (destroy) destroy(object);
}

// Calls change(Way&) for the way of an exception, which is begun if there is none.
template <class Change>
void follow(const std::exception_ptr& error, Change change) noexcept {
  if (!on() || !error) return;
  const std::type_info& type = *error.__cxa_exception_type();
  void* object = object_of(error);
  Header& header = Header::of(object);
  if (interrupts(type) || header.type != &type) return;
  const Tracing guard;
  try {
    Ways& all = ways();
    const std::lock_guard lock(all.mutex);
    const auto [found, is_new] = all.of.try_emplace(object);
    if (is_new) found->second.destroy = std::exchange(header.destroy, &destroy_traced);
    change(found->second);
  } catch (...) {  // no memory: some frames less
  }
}

// An exception is about to be thrown. The destructor that it shall have.
Destructor begin(void* object, const std::type_info& type, Destructor destroy,
                 const FrameList& stack) noexcept {
  if (interrupts(type)) return destroy;
  const Tracing guard;
  try {
    Ways& all = ways();
    const std::lock_guard lock(all.mutex);
    Way& way = all.of[object];
    way.destroy = destroy;
    way.raised = stack;
    return &destroy_traced;
  } catch (...) {
    return destroy;
  }
}

bool asked_for() noexcept {
  if (const char* text = std::getenv("UVLET_EXCEPTION_TRACES"))
    return *text && std::strcmp(text, "0") != 0;
#if defined(NDEBUG) || defined(__OPTIMIZE__)
  return false;
#else
  return true;
#endif
}

[[maybe_unused]] const bool set_up = [] {
  if (asked_for()) exception_traces(true);
  return true;
}();

std::string text_of(void* frame) {
  return is_internal(frame) ? std::string() : "  " + without_parameters(symbol(frame)) + "\n";
}
std::string text_of(const CallSite& site) {
  return std::string("awaitlet at ") + site.file_name() + ":" + std::to_string(site.line()) +
         ", in " + site.function_name() + "\n";
}
std::string text_of(const End& end) {
  std::string text = kind_name(end.kind);
  if (end.kind != Root::Kind::main) text += " " + std::to_string(end.id);
  if (!end.name.empty()) text += " '" + end.name + "'";
  if (end.spawned_at) text += ", spawned at " + without_parameters(symbol(end.spawned_at));
  return text + "\n";
}

}  // namespace

void exception_traces(bool on) noexcept { CrossingWatch::set(CrossingWatch::traced, on); }

std::string traceback(const std::exception_ptr& exception) {
  std::vector<Step> steps;
  {
    Ways& all = ways();
    const std::lock_guard lock(all.mutex);
    const auto found = all.of.find(object_of(exception));
    if (found == all.of.end()) return {};
    steps = found->second.steps;
    const FrameList& raised = found->second.raised;
    steps.insert(steps.end(), raised.frames, raised.frames + raised.count);
  }
  std::string text;
  for (const Step& step : steps)
    text += std::visit([](const auto& one) { return text_of(one); }, step);
  return text;
}

std::exception_ptr caught_exception(Root* ended) noexcept {
  std::exception_ptr error = std::current_exception();
  follow(error, [ended](Way& way) {
    FrameList here;
    here.capture(nullptr);
    way.leave(here);
    if (!ended) return;
    const std::string* name = ended->identity ? ended->identity->name_given() : nullptr;
    way.add(End{ended->kind, ended->id, name ? *name : "", ended->spawned_at()});
  });
  return error;
}

void rethrow(std::exception_ptr error) {
  follow(error, [caller = __builtin_return_address(0)](Way& way) { way.raised.capture(caller); });
  std::rethrow_exception(std::move(error));
}

void trace_awaitlet(const CallSite& site) noexcept {
  follow(std::current_exception(), [&, caller = __builtin_return_address(0)](Way& way) {
    FrameList here;
    here.capture(caller);
    way.leave(here);
    way.add(site);
    way.raised = here;
  });
}

}  // namespace uvlet::inline UVLET_ABI

// In place of the C++ library's __cxa_throw(), which it calls. Weak: where that is linked
// statically this one gives way, and ways begin where an exception is first caught.
using Throw = void(void*, std::type_info*, void (*)(void*));
extern "C" __attribute__((weak, visibility("default"), noreturn))
Throw uvlet_throw __asm__("__cxa_throw");
void uvlet_throw(void* object, std::type_info* type, void (*destroy)(void*)) {
  static Throw* const next = reinterpret_cast<Throw*>(dlsym(RTLD_NEXT, "__cxa_throw"));
  if (uvlet::on()) {
    uvlet::FrameList stack;
    stack.capture(__builtin_return_address(0));
    destroy = uvlet::begin(object, *type, destroy, stack);
  }
  next(object, type, destroy);
  std::abort();
}

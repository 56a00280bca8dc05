#include "overflow.hpp"

#include <uvlet/hub.hpp>

#include "names.hpp"

#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr std::size_t signal_stack_bytes = 64 * 1024;
struct sigaction previous;

// The handler of a stack that is full runs on one of its own. The code that filled it may hold the
// heap's lock, so nothing here allocates.
class Line {
 public:
  __attribute__((format(printf, 2, 3))) void add(const char* format, ...) noexcept {
    va_list arguments;
    va_start(arguments, format);
    const int size = std::vsnprintf(text_ + size_, sizeof text_ - size_, format, arguments);
    va_end(arguments);
    if (size > 0) size_ = std::min(size_ + static_cast<std::size_t>(size), sizeof text_ - 1);
  }
  void write() const noexcept {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text_, size_);
  }

 private:
  char text_[1024];
  std::size_t size_ = 0;
};

// "f()+0x12" has to be demangled, which allocates: "_Z1fv+0x12", or "program+0x1234".
void add_symbol(Line& line, void* address) noexcept {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || !info.dli_fname) return line.add("%p", address);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  if (info.dli_sname)
    line.add("%.400s+0x%zx", info.dli_sname, at - reinterpret_cast<std::uintptr_t>(info.dli_saddr));
  else
    line.add("%.400s+0x%zx", info.dli_fname, at - reinterpret_cast<std::uintptr_t>(info.dli_fbase));
}

void report(Hub& hub) noexcept {
  const Root& root = *hub.running();
  Line line;
  line.add("uvlet: stack overflow in %s", kind_name(root.kind));
  if (root.kind != Root::Kind::main) line.add(" %llu", static_cast<unsigned long long>(root.id));
  const std::string* name = root.identity ? root.identity->name_given() : nullptr;
  if (name) line.add(" '%.100s'", name->c_str());
  if (void* site = root.spawned_at()) {
    line.add(", spawned at ");
    add_symbol(line, site);
  }
  line.add(": its stack of %zu KiB is full (HubOptions::stack_size sets another size)\n",
           hub.stacks().stack_bytes() / 1024);
  line.write();
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Hub* hub = Hub::existing();
  if (hub && hub->stacks().overflowed_at(info->si_addr)) {
    std::signal(signal, SIG_DFL);  // the access is tried again, and kills the process
    report(*hub);
    return;
  }
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    std::signal(signal, SIG_DFL);
  }
}

// Freed with its thread, whose hub has ended by then.
struct SignalStack {
  SignalStack() {
    stack_t current;
    if (sigaltstack(nullptr, &current) == 0 && !(current.ss_flags & SS_DISABLE)) return;
    memory = std::malloc(signal_stack_bytes);
    if (!memory) return;
    stack_t wanted{};
    wanted.ss_sp = memory;
    wanted.ss_size = signal_stack_bytes;
    sigaltstack(&wanted, nullptr);
  }
  ~SignalStack() {
    if (!memory) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    std::free(memory);
  }
  void* memory = nullptr;
};

}  // namespace

void install_overflow_report() {
  static thread_local SignalStack stack;
  (void)&stack;
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSEGV, &action, &previous) == 0;
  }();
  (void)installed;
}

}  // namespace uvlet::inline UVLET_ABI

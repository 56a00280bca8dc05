#include "overflow.hpp"

#include <uvlet/hub.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr std::size_t signal_stack_bytes = 64 * 1024;
struct sigaction previous;

// The handler of a stack that is full runs on one of its own, and the process is about to die: what
// it calls need not be async-signal-safe, as the fault came from the green thread's own code.
void report(Hub& hub, char* stack) {
  Root& root = *hub.running();
  const std::string text = "uvlet: stack overflow in " + hub.describe(root) + ": its stack of " +
                           std::to_string(hub.stacks().stack_bytes() / 1024) +
                           " KiB is full (HubOptions::stack_size sets another size)\n";
  (void)stack;
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Hub* hub = Hub::existing();
  char* stack = hub ? hub->stacks().overflowed_at(info->si_addr) : nullptr;
  if (stack) {
    std::signal(signal, SIG_DFL);  // the access is tried again, and kills the process
    report(*hub, stack);
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

// Freed with its thread.
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

#pragma once

#include <aio/task.hpp>

#include <memory>
#include <vector>

namespace aio {

namespace detail {
struct SignalState;
}

// Signals of the process, caught for as long as this lives: their default action is held off, and
// what comes while nobody waits is kept, each number once. So a server that reloads at SIGHUP makes
// one before its loop. Each of several receivers of a number gets it. It keeps no process from
// ending. Source: trio.open_signal_receiver.
class UVLET_API SignalReceiver {
 public:
  // Throws invalid_argument for what is no signal, or cannot be caught.
  explicit SignalReceiver(std::vector<int> numbers);
  explicit SignalReceiver(int number) : SignalReceiver(std::vector<int>(1, number)) {}
  SignalReceiver(SignalReceiver&&) noexcept = default;
  ~SignalReceiver();

  // The number of the next one, in the order in which they came. A wait that is cut short loses
  // none. Throws logic_error if it was moved from, or is destroyed meanwhile.
  task<int> receive();

 private:
  std::shared_ptr<detail::SignalState> state_;
};

}  // namespace aio

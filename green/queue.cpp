#include <green/queue.hpp>

namespace green {

Empty::Empty() : std::runtime_error("the queue is empty") {}
Full::Full() : std::runtime_error("the queue is full") {}

namespace detail {

void throw_empty() { throw Empty(); }
void throw_full() { throw Full(); }
void refuse_task_done() { throw std::invalid_argument("task_done() called too many times"); }

}  // namespace detail
}  // namespace green

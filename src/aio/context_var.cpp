#include <aio/context_var.hpp>

namespace aio::detail {

std::uint64_t next_variable() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

uvlet::Handle<uvlet::ContextVars>& current_context() noexcept {
  const uvlet::Hub* hub = uvlet::Hub::existing();
  return hub ? hub->running()->context : uvlet::thread_context();
}

}  // namespace aio::detail

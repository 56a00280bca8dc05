#include <green/debug.hpp>
#include <green/transitions.hpp>
#include <uvlet/hub.hpp>

namespace green::debug {

void transitions(bool on) noexcept { green::detail::count_transitions = on; }

void hub_exceptions(bool on) noexcept { uvlet::report_exceptions = on; }

}  // namespace green::debug

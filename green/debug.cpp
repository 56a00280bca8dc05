#include <green/debug.hpp>
#include <uvlet/hub.hpp>

namespace green::debug {

void hub_exceptions(bool on) noexcept { uvlet::report_exceptions = on; }

}  // namespace green::debug

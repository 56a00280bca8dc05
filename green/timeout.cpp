#include <green/timeout.hpp>

namespace green {

bool is_timeout(std::exception_ptr error) noexcept {
  if (!error) return false;
  try {
    std::rethrow_exception(error);
  } catch (const TimeoutExpired&) {
    return true;
  } catch (const aio::TimeoutError&) {
    return true;
  } catch (const std::system_error& failure) {
    return failure.code() == std::errc::timed_out;
  } catch (...) {
    return false;
  }
}

}  // namespace green

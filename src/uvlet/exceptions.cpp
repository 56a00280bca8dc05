#include <uvlet/exceptions.hpp>
#include <uvlet/timeout.hpp>

#include <netdb.h>
#include <sstream>

namespace uvlet::inline UVLET_ABI {

BaseException::~BaseException() = default;
const char* BaseException::what() const noexcept { return "BaseException"; }
const char* GreenletExit::what() const noexcept { return "GreenletExit"; }
const char* CancelledError::what() const noexcept { return "CancelledError"; }

TimeoutExpired::TimeoutExpired(double seconds) : TimeoutExpired(seconds, 0) {}

TimeoutExpired::TimeoutExpired(double seconds, std::uint64_t timeout)
    : seconds_(seconds), timeout_(timeout) {
  std::ostringstream text;
  text << seconds << (seconds == 1 ? " second" : " seconds");
  text_ = text.str();
}

const char* TimeoutExpired::what() const noexcept { return text_.c_str(); }

bool TimeoutExpired::is(const Timeout& timeout) const noexcept {
  return timeout_ != 0 && timeout_ == timeout.number();
}

NoAwaitletContext::NoAwaitletContext()
    : std::logic_error(
          "a call that must wait was made where nothing may wait: in a libuv callback") {}

NoAwaitOccurred::NoAwaitOccurred()
    : std::logic_error("the function was run but it never waited for anything") {}

gaierror::gaierror(int code, const std::string& host, const char* reason)
    : std::runtime_error("cannot resolve '" + host +
                         "': " + (reason ? reason : gai_strerror(code))),
      code_(code) {}

}  // namespace uvlet::inline UVLET_ABI

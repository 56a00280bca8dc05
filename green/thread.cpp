#include <green/thread.hpp>

#include <cstdio>
#include <exception>
#include <system_error>
#include <thread>

namespace green {
namespace {

[[noreturn]] void fail(std::errc error, const char* what) {
  throw std::system_error(std::make_error_code(error), what);
}

[[noreturn]] void terminate(const char* why) {
  std::fputs(why, stderr);
  std::terminate();
}

}  // namespace

thread::~thread() {
  if (joinable()) terminate("green::thread: destroyed without join() or detach()\n");
}

thread& thread::operator=(thread&& other) noexcept {
  if (joinable()) terminate("green::thread: assigned to without join() or detach()\n");
  swap(other);
  return *this;
}

void thread::leave_function() {
  try {
    throw;
  } catch (const BaseException&) {
    throw;
  } catch (...) {
    std::terminate();  // in a handler, so that it tells what was thrown
  }
}

void thread::require_joinable() const {
  if (!joinable()) fail(std::errc::invalid_argument, "a green::thread that is not joinable");
}

thread::Joining thread::join_async() {
  require_joinable();
  if (get_id() == current())
    fail(std::errc::resource_deadlock_would_occur, "a green::thread would wait for its own end");
  auto* state = static_cast<detail::State<void>*>(running_.identity().get());
  return {*this, uvlet::Handle<detail::State<void>>::share(state)};
}

void thread::detach() {
  require_joinable();
  running_ = GreenThread<void>();
  hub_ = nullptr;
}

unsigned thread::hardware_concurrency() noexcept { return std::thread::hardware_concurrency(); }

thread::id thread::current() noexcept {
  const uvlet::Hub& hub = uvlet::Hub::get();
  return {&hub, hub.running()->id};
}

}  // namespace green

#include <uvlet/descriptor.hpp>
#include <uvlet/handshake.hpp>

#include "simulated_world.hpp"
#include "watch.hpp"

#include <system_error>
#include <unistd.h>
#include <uv.h>

namespace uvlet::inline UVLET_ABI {
namespace {

int event_of(Direction direction) noexcept {
  return direction == Direction::read ? UV_READABLE : UV_WRITABLE;
}

}  // namespace

Descriptor::Descriptor(int fd, bool stream) : fd_(fd), stream_(stream), short_read_drains_(stream) {
  if (Hub* hub = Hub::existing(); hub && stream)
    simulated_ = testing::simulated_world(*hub) != nullptr;
}

Descriptor::~Descriptor() { close(); }

IoRequest* Descriptor::take(Direction direction) noexcept {
  IoRequest*& place = requests_[static_cast<int>(direction)];
  if (place && watch_->hub) --watch_->hub->external;
  return std::exchange(place, nullptr);
}

std::size_t Descriptor::simulated_allowance(std::size_t bytes) noexcept {
  auto* world = testing::simulated_world(Hub::get());
  return world ? world->allowance(bytes, refused_) : bytes;
}

void Descriptor::wait(IoRequest& request, Direction direction) {
  if (watch_ && watch_->stale()) forget_watch();
  if (watch_ && watch_->hub != Hub::existing()) [[unlikely]]
    leave_ended_hub();
  IoRequest*& place = requests_[static_cast<int>(direction)];
  if (place) refuse_second(fd_, direction, place->who(), request.who());
  place = &request;
  try {
    arm(direction);
  } catch (...) {
    place = nullptr;
    throw;
  }
  ++watch_->hub->external;
}

void Descriptor::leave_ended_hub() {
  if (watch_->hub)
    throw std::logic_error("descriptor " + std::to_string(fd_) +
                           " was waited for on another thread: it belongs to the hub of that one");
  forget_watch();
}

void refuse_second(int fd, Direction direction, Root* first, Root* second) {
  const auto name = [](Root* root) {
    return root ? Hub::get().describe(*root) : "somebody in the background";
  };
  throw std::logic_error("descriptor " + std::to_string(fd) + ": a second simultaneous " +
                         (direction == Direction::read ? "reader" : "writer") + ": " +
                         name(second) + "; the first is " + name(first));
}

void Descriptor::withdraw(Direction direction) noexcept { take(direction); }

// Whoever waited stayed behind in the parent.
void Descriptor::forget_watch() noexcept {
  requests_[0] = requests_[1] = nullptr;
  delete std::exchange(watch_, nullptr);
}

void Descriptor::arm(Direction direction) {
  if (!watch_) watch_ = Watch::make(Hub::get(), *this).release();
  if (!watched(direction)) return;
  const int asked = transport_ ? watch_->wanted() : event_of(direction);
  if (const int error = watch_->set(watch_->armed | asked); error != 0) refuse_wait(fd_, error);
}

// Somebody waits for this readiness.
bool Descriptor::watched(Direction direction) const noexcept {
  const IoRequest* request = requests_[static_cast<int>(direction)];
  return request && !request->elsewhere;
}

bool Descriptor::wants(Direction direction) const noexcept {
  return transport_
             ? transport_->wants(direction, watched(Direction::read), watched(Direction::write))
             : watched(direction);
}

void Descriptor::update_watch() noexcept {
  try {
    if (watch_ && watch_->stale()) forget_watch();
    if (!watch_) watch_ = Watch::make(Hub::get(), *this).release();
    watch_->settle(false);
  } catch (...) {  // then it gets on at the next call
  }
}

void Descriptor::retry(Direction direction) noexcept {
  if (taken(direction)) watch_->serve(direction);
}

int Descriptor::shutdown(int how) noexcept {
  return transport_ && fd_ >= 0 ? transport_->shutdown(*this, how) : ::shutdown(fd_, how);
}

void Descriptor::fail(int error, const char* call) const {
  if (transport_) transport_->fail(error, call);
  throw std::system_error(error, std::generic_category(), call);
}

int Descriptor::release() noexcept {
  const int fd = std::exchange(fd_, -1);
  if (!watch_) return fd;
  if (watch_->stale()) {
    forget_watch();
    return fd;
  }
  for (const Direction direction : {Direction::read, Direction::write}) {
    if (IoRequest* request = take(direction)) {
      request->error_number = EBADF;
      request->complete();
    }
  }
  Watch* watch = std::exchange(watch_, nullptr);
  watch->descriptor = nullptr;
  watch->unlink();
  watch->close(fd);
  return fd;
}

void Descriptor::dismiss(const void* user) noexcept {
  for (const Direction direction : {Direction::read, Direction::write}) {
    IoRequest* request = requests_[static_cast<int>(direction)];
    if (!request || request->user != user) continue;
    take(direction);
    request->error_number = EBADF;
    request->complete();
  }
}

void Descriptor::close() noexcept {
  if (transport_ && fd_ >= 0) transport_->closing(*this);
  const int fd = release();
  if (fd >= 0) ::close(fd);
}

int Descriptor::detach() noexcept { return release(); }

// --- IoWait ------------------------------------------------------------------------------------

IoWait::~IoWait() {
  if (waiting_) descriptor_->withdraw(direction_);
}

bool IoWait::ready() noexcept {
  if (!descriptor_ || descriptor_->fd() < 0) {
    error_number = EBADF;
    return true;
  }
  return !descriptor_->taken(direction_) && begin();  // suspend() refuses a second one
}

bool IoWait::begin() noexcept {
  const bool yields = budget_is_spent();
  if (yields && Hub::existing()->running()->interrupt_due()) {
    skipped_ = true;  // the interrupt is thrown, and what is there left there
    return false;
  }
  return settle() && !(settled_ = yields);
}

// Tries it: true unless it has to wait.
bool IoWait::settle() noexcept {
  const bool at_once = limit_ && limit_->seconds() == 0;
  if ((at_once || !nothing_there()) && attempt()) return true;
  if (at_once) error_number = refusal();
  return at_once;
}

bool IoWait::settled() noexcept {
  if (std::exchange(skipped_, false)) settled_ = settle();  // who waits is not who was interrupted
  return settled_;
}

bool IoWait::budget_is_spent() noexcept {
  Hub* hub = Hub::existing();
  if (!hub || --hub->io_budget > 0) return false;
  hub->io_budget = Hub::io_budget_full;
  return hub->running()->may_wait();
}

void IoWait::suspend(Hub& hub) {
  if (settled()) return make_ready();
  descriptor_->wait(*this, direction_);
  waiting_ = true;
  hub.io_budget = Hub::io_budget_full;
  if (!limit_) return;
  try {
    hub.timers.start(*this, deadline_after(hub.now(), *limit_));
  } catch (...) {
    waiting_ = false;
    descriptor_->withdraw(direction_);
    throw;
  }
}

Cancel IoWait::cancel() noexcept {
  if (!waiting_) return Cancel::too_late;
  waiting_ = false;
  descriptor_->withdraw(direction_);
  cancel_timer();
  return Cancel::done;
}

const char* IoWait::describe() const noexcept {
  return direction_ == Direction::read ? "a readable descriptor" : "a writable descriptor";
}

void IoWait::complete() noexcept {
  waiting_ = false;
  cancel_timer();
  make_ready();
}

void IoWait::expire() noexcept {
  if (!waiting_) return;
  waiting_ = false;
  descriptor_->withdraw(direction_);
  error_number = ETIMEDOUT;
  make_ready();
}

bool Handshake::attempt() noexcept {
  Transport* transport = descriptor_->transport();
  return !transport || transport->handshake(*descriptor_) == 0 || failed(errno);
}

namespace {

// See accept(2). Not EOPNOTSUPP, which is of a listener that is none, too.
bool of_connection(int error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET: return true;
    default: return false;
  }
}

}  // namespace

int accept_connection(int listener, sockaddr_storage& peer, socklen_t& length) noexcept {
  for (;;) {
    length = sizeof peer;
    const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 || !of_connection(errno)) return fd;
  }
}

bool out_of_resources(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

bool IoWait::accept_failed(int error) noexcept {
  if (out_of_resources(error)) ++Hub::get().accepts_refused;
  return failed(error);
}

void IoWait::fail(const char* call) const {
  if (descriptor_ && error_number == EPROTO)  // may be the transport's
    descriptor_->fail(error_number, call);
  throw std::system_error(error_number, std::generic_category(), call);
}

}  // namespace uvlet::inline UVLET_ABI

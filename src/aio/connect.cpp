#include <aio/connect.hpp>
#include <aio/getaddrinfo.hpp>
#include <uvlet/signal.hpp>

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <system_error>

namespace aio::detail {
namespace {

constexpr double attempt_delay_seconds = 0.25;

using Connected = std::unique_ptr<uvlet::Descriptor>;

// One connection being made. Destroying it closes the socket.
class Attempt final : public uvlet::IoRequest {
 public:
  Attempt(const Address& to, const Address* from, uvlet::Signal& changed) : changed_(changed) {
    const int fd = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      error_number = errno;
      return;
    }
    descriptor_ = std::make_unique<uvlet::Descriptor>(fd, true);
    if ((from && !call(::bind, *from)) || call(::connect, to)) return;
    if (error_number != EINPROGRESS && error_number != EINTR) return;
    error_number = 0;
    descriptor_->wait(*this, uvlet::Direction::write);
    waiting_ = true;
  }
  ~Attempt() {
    if (waiting_) descriptor_->withdraw(uvlet::Direction::write);
  }

  bool over() const noexcept { return !waiting_; }
  Connected take() noexcept { return std::move(descriptor_); }

 private:
  template <class Call>
  bool call(Call system_call, const Address& address) {
    const Address::Raw raw = address.raw();
    error_number = system_call(descriptor_->fd(), raw.get(), raw.length) == 0 ? 0 : errno;
    return error_number == 0;
  }
  bool attempt() noexcept override {
    socklen_t length = sizeof error_number;
    if (getsockopt(descriptor_->fd(), SOL_SOCKET, SO_ERROR, &error_number, &length) < 0)
      error_number = errno;
    return true;
  }
  void complete() noexcept override {
    waiting_ = false;
    changed_.notify_all();
  }

  uvlet::Signal& changed_;
  Connected descriptor_;
  bool waiting_ = false;
};

// Says less than others about why there is no connection: this host has no way to that address.
bool no_route(int error) noexcept {
  return error == ENETUNREACH || error == EHOSTUNREACH || error == EADDRNOTAVAIL ||
         error == EAFNOSUPPORT;
}

// Connections being made to some addresses; the first that is made is taken.
class Race {
 public:
  Race(std::vector<Address> to, std::vector<Address> from)
      : to_(std::move(to)), from_(std::move(from)) {}

  // Null: none can be connected to, and why says error().
  task<Connected> run() {
    for (;;) {
      if (Connected winner = collect()) co_return winner;
      if (next_ == to_.size()) {
        if (running_.empty()) co_return Connected();
        co_await changed_.wait();
      } else if (!start(to_[next_++]) && next_ < to_.size()) {
        co_await pause();
      }
    }
  }
  int error() const noexcept { return error_; }

 private:
  // True if it is over already.
  bool start(const Address& to) {
    const Address* from = nullptr;
    if (!from_.empty()) {
      auto same = [&to](const Address& each) { return each.family() == to.family(); };
      const auto place = std::find_if(from_.begin(), from_.end(), same);
      if (place == from_.end()) {
        failed(EAFNOSUPPORT);
        return true;
      }
      from = &*place;
    }
    running_.push_back(std::make_unique<Attempt>(to, from, changed_));
    return running_.back()->over();
  }

  // Takes the one that is connected, and drops those that failed.
  Connected collect() {
    Connected winner;
    std::erase_if(running_, [&](const std::unique_ptr<Attempt>& attempt) {
      if (winner || !attempt->over()) return false;
      if (attempt->error_number == 0)
        winner = attempt->take();
      else
        failed(attempt->error_number);
      return true;
    });
    return winner;
  }

  // Until one is over, or it is time for the next.
  task<void> pause() {
    const uvlet::Deadline next(changed_, attempt_delay_seconds);
    co_await changed_.wait();
  }

  void failed(int error) noexcept {
    if (error_ == 0 || !no_route(error)) error_ = error;
  }

  std::vector<Address> to_;
  std::vector<Address> from_;  // empty: as the system chooses
  std::size_t next_ = 0;       // of to_, to be started
  int error_ = 0;
  uvlet::Signal changed_{"a connection"};
  std::vector<std::unique_ptr<Attempt>> running_;
};

}  // namespace

std::vector<Address> interleaved(const std::vector<Address>& addresses) {
  std::vector<Address> sorted;
  std::vector<Address> others;
  for (const Address& address : addresses)
    (address.family() == addresses.front().family() ? sorted : others).push_back(address);
  for (std::size_t i = 0; i < others.size(); ++i)
    sorted.insert(sorted.begin() + static_cast<std::ptrdiff_t>(std::min(2 * i + 1, sorted.size())),
                  others[i]);
  return sorted;
}

task<Connected> connect(Address address, std::optional<Address> local) {
  std::vector<Address> from;
  if (local) from = co_await resolve(*local);
  const std::vector<Address> found = co_await resolve(address);
  Race race(interleaved(found), std::move(from));
  Connected winner = co_await race.run();
  if (!winner)
    throw std::system_error(
        race.error(), std::generic_category(),
        "connect to " + address.str() + (local ? " from " + local->str() : std::string()));
  co_return winner;
}

}  // namespace aio::detail

#pragma once

// What the calls of a socket that wait several times, or not for its readiness, are made of.

#include <green/shared_descriptor.hpp>

#include <aio/future.hpp>
#include <uvlet/address.hpp>

#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

namespace green::detail {

// What settimeout leaves for each wait of one call.
class CallLimit {
 public:
  explicit CallLimit(std::optional<uvlet::Duration> limit)
      : limit_(limit),
        deadline_(limit ? uvlet::deadline_after(uvlet::Hub::get().now(), *limit) : uvlet::never) {}

  // Zero only where the whole limit is. Throws ETIMEDOUT once it has passed.
  std::optional<uvlet::Duration> left(const char* call) const {
    if (!limit_ || limit_->seconds() == 0) return limit_;
    const uvlet::Time now = uvlet::Hub::get().now();
    if (now >= deadline_) throw std::system_error(ETIMEDOUT, std::generic_category(), call);
    return static_cast<double>(deadline_ - now) * 1e-9;
  }

 private:
  std::optional<uvlet::Duration> limit_;
  uvlet::Time deadline_;
};

// A task of one call, which ends with it.
template <class T>
struct Begun {
  Begun(aio::task<T> task, const char* call) : work(aio::create_task(std::move(task), call)) {}
  ~Begun() {
    if (!work.cancel()) work.exception();  // nobody needs to be told
  }
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;
  aio::Future<T> work;
};

// The wait for a task in the place of a descriptor's writer.
template <class T>
class InPlaceOfWriter final : public uvlet::Operation<InPlaceOfWriter<T>, uvlet::IoWait> {
 public:
  InPlaceOfWriter(uvlet::Descriptor* descriptor, std::optional<uvlet::Duration> limit,
                  const aio::Future<T>& work, const char* call) noexcept
      : uvlet::Operation<InPlaceOfWriter, uvlet::IoWait>(descriptor, uvlet::Direction::write,
                                                         limit),
        work_(work),
        call_(call) {
    this->elsewhere = true;
  }
  InPlaceOfWriter(InPlaceOfWriter&&) = default;
  T result() const {
    this->check(call_);
    return work_.result();
  }

 private:
  bool attempt() noexcept override { return work_.done(); }

  const aio::Future<T>& work_;
  const char* call_;
};

// Does this for a call on the socket, as its writer: a second one is logic_error, and close() ends
// it with EBADF. So does the limit with ETIMEDOUT; zero: EAGAIN.
template <class T>
aio::task<T> for_writer(std::shared_ptr<SharedDescriptor> socket,
                        std::optional<uvlet::Duration> limit, aio::task<T> work, const char* call) {
  if (limit && limit->seconds() == 0)
    throw std::system_error(EAGAIN, std::generic_category(), call);
  Begun<T> begun(std::move(work), call);
  auto done = [socket](const aio::Future<T>&) { socket->retry(uvlet::Direction::write); };
  begun.work.add_done_callback(std::move(done));
  InPlaceOfWriter<T> waiting(socket.get(), limit, begun.work, call);
  co_return co_await std::move(waiting);
}

// An address as it is; a name looked up for a call on the socket, as above. Throws gaierror.
aio::task<uvlet::Address> address_for(std::shared_ptr<SharedDescriptor> socket,
                                      std::optional<uvlet::Duration> limit, uvlet::Address address,
                                      const char* call);

}  // namespace green::detail

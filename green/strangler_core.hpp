#pragma once

// What a Strangler is beyond its signature: the route of calls, what is counted, the report.

#include <aio/event.hpp>
#include <aio/future.hpp>
#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iosfwd>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace green {

enum class StranglerSide { old_side, new_side };
enum class StranglerMode { percentage, rule, shadow };
enum class ShadowVerdict { match, mismatch, old_failed, new_failed, cancelled };

// Where one call goes.
struct StranglerRoute {
  StranglerSide side = StranglerSide::old_side;
  bool shadow = false;
};

// Lengths of time in log-linear buckets, 32 for each power of two: a percentile is at most 1/32 too
// high. Source: HdrHistogram.
class UVLET_API LatencyHistogram {
 public:
  void record(uvlet::Time nanoseconds) noexcept;
  std::uint64_t count() const noexcept { return count_; }
  // The least upper bound of `percent` of them, in seconds; 0 if there are none.
  double percentile(double percent) const noexcept;
  double max() const noexcept { return static_cast<double>(max_) * 1e-9; }

 private:
  static constexpr std::size_t size = 59 * 32 + 32;
  std::array<std::uint64_t, size> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

// One side, shadow runs included. Killed and cancelled calls are no errors and have no latency.
struct StranglerSideReport {
  std::uint64_t calls = 0;  // begun
  std::uint64_t errors = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t running = 0;
  double p50_seconds = 0;
  double p90_seconds = 0;
  double p99_seconds = 0;
  double max_seconds = 0;
};

struct ShadowReport {
  std::uint64_t runs = 0;  // begun
  std::uint64_t matches = 0;
  std::uint64_t mismatches = 0;
  std::uint64_t old_failed = 0;  // the old side alone threw
  std::uint64_t new_failed = 0;
  std::uint64_t cancelled = 0;  // ended without a comparison
  std::uint64_t dropped = 0;    // calls without a shadow, for the limit
  std::uint64_t running = 0;
};

struct StranglerReport {
  std::string name;
  StranglerMode mode = StranglerMode::percentage;
  double percentage = 0;
  bool retreated = false;
  StranglerSideReport old_side;
  StranglerSideReport new_side;
  ShadowReport shadow;
};

// All Stranglers of the process, of all threads, in the order in which they were made.
// Thread-safe, as all of these.
UVLET_API std::vector<StranglerReport> stranglers();
// As a table, a line for each side.
UVLET_API void print_stranglers(std::ostream& out);
UVLET_API std::string stranglers_json();

namespace detail {

// The same in every process.
UVLET_API std::uint64_t hash_bytes(std::string_view text) noexcept;
template <class K>
std::uint64_t key_hash(const K& key) noexcept {
  if constexpr (std::is_integral_v<K> || std::is_enum_v<K>) {
    return static_cast<std::uint64_t>(key);
  } else {
    static_assert(std::is_convertible_v<const K&, std::string_view>,
                  "a Strangler's key is an integer or a string");
    return hash_bytes(key);
  }
}

// Everything is under its mutex, but no_shadows, which belongs to the hub's thread.
class UVLET_API StranglerCore {
 public:
  explicit StranglerCore(std::string name);
  StranglerCore(const StranglerCore&) = delete;
  StranglerCore& operator=(const StranglerCore&) = delete;

  const std::string& name() const noexcept { return name_; }
  StranglerReport report() const;

  void set_percentage(double percentage);
  void set_mode(StranglerMode mode) noexcept;
  void set_shadow_limit(std::size_t limit);
  void set_retreat(double error_rate, unsigned calls);

  StranglerMode mode() const noexcept;
  StranglerRoute route() noexcept;
  StranglerRoute route_by_key(std::uint64_t key) const noexcept;
  StranglerRoute route_by_rule(bool to_new_side) const noexcept;

  enum class Ending { success, error, cancelled };
  void call_begins(StranglerSide side) noexcept;
  void call_ends(StranglerSide side, Ending ending, uvlet::Time length, bool real) noexcept;
  bool shadow_begins() noexcept;
  void shadow_ends(ShadowVerdict verdict) noexcept;

  aio::Event no_shadows;

 private:
  struct Side {
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t running = 0;
    LatencyHistogram latency;
    StranglerSideReport report() const noexcept;
  };
  void change_mode(StranglerMode mode) noexcept;
  void look_at_errors(bool failed) noexcept;

  const std::string name_;
  const std::uint64_t salt_;  // so that it is not the same users everywhere
  mutable std::mutex mutex_;
  StranglerMode mode_ = StranglerMode::percentage;
  std::uint32_t parts_ = 0;  // of a million
  std::uint32_t turn_ = 0;   // parts that are due
  std::size_t shadow_limit_ = 16;
  ShadowReport shadow_;
  std::array<Side, 2> sides_;
  double error_rate_max_ = 1;
  unsigned window_ = 0;  // 0: it never retreats
  unsigned window_calls_ = 0;
  unsigned window_errors_ = 0;
  bool retreated_ = false;
};

UVLET_API void list_strangler(const std::shared_ptr<StranglerCore>& core);

// One call of one side, from its beginning to its end.
class UVLET_API MeasuredCall {
 public:
  MeasuredCall(StranglerCore& core, StranglerSide side, bool real) noexcept;
  ~MeasuredCall();
  MeasuredCall(const MeasuredCall&) = delete;
  MeasuredCall& operator=(const MeasuredCall&) = delete;
  void succeeded() noexcept;
  // In a handler. False if what it handles is a kill or a cancel, or the call has ended before.
  bool failed() noexcept;

 private:
  void end(StranglerCore::Ending ending) noexcept;
  StranglerCore& core_;
  StranglerSide side_;
  bool real_;  // not a shadow
  bool ended_ = false;
  uvlet::Time start_;
};

// The shadow of one call, from the caller's point of view: cancelled unless it is told how the old
// side ended.
template <class Outcome>
class Shadow {
 public:
  Shadow() noexcept = default;
  Shadow(const Shadow&) = delete;
  Shadow& operator=(const Shadow&) = delete;
  ~Shadow() {
    if (running_) task_.cancel();
  }
  void began(aio::Future<> task, aio::Future<Outcome> old_side) noexcept {
    task_ = std::move(task);
    old_side_ = std::move(old_side);
    running_ = true;
  }
  template <class Result>
  void succeeded(const Result& value) noexcept {
    if (!running_) return;
    try {
      Outcome outcome;
      outcome.value.emplace(value);
      tell(std::move(outcome));
    } catch (...) {  // it could not be copied: the shadow is cancelled
    }
  }
  void failed(std::exception_ptr error) noexcept {
    if (!running_) return;
    Outcome outcome;
    outcome.error = std::move(error);
    tell(std::move(outcome));
  }

 private:
  void tell(Outcome outcome) {
    if (!old_side_.done()) old_side_.set_result(std::move(outcome));
    running_ = false;
  }

  aio::Future<> task_;
  aio::Future<Outcome> old_side_;
  bool running_ = false;
};
template <class Result>
struct NoShadow {
  void succeeded(const Result&) const noexcept {}
  void failed(const std::exception_ptr&) const noexcept {}
};

// The right to run one shadow.
class ShadowTicket {
 public:
  explicit ShadowTicket(std::shared_ptr<StranglerCore> core) noexcept {
    if (core->shadow_begins()) core_ = std::move(core);
  }
  ShadowTicket(ShadowTicket&& other) noexcept = default;
  ShadowTicket& operator=(ShadowTicket&&) = delete;
  ~ShadowTicket() {
    if (core_) core_->shadow_ends(verdict_);
  }
  explicit operator bool() const noexcept { return core_ != nullptr; }
  void judge(ShadowVerdict verdict) noexcept { verdict_ = verdict; }

 private:
  std::shared_ptr<StranglerCore> core_;
  ShadowVerdict verdict_ = ShadowVerdict::cancelled;
};

}  // namespace detail
}  // namespace green

#include <green/strangler_core.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/hub.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iomanip>
#include <locale>
#include <ostream>
#include <sstream>
#include <stdexcept>

namespace green {
namespace {

constexpr std::uint32_t whole = 1'000'000;
constexpr unsigned sub_bits = 5;  // 32 buckets for each power of two

std::size_t bucket_of(std::uint64_t value) noexcept {
  if (value < 2U << sub_bits) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - sub_bits - 1;
  return (static_cast<std::size_t>(shift) << sub_bits) + (value >> shift);
}

std::uint64_t highest_in(std::size_t bucket) noexcept {
  if (bucket < 2U << sub_bits) return bucket;
  const std::size_t shift = (bucket >> sub_bits) - 1;
  const std::uint64_t first = bucket - (shift << sub_bits);
  return ((first + 1) << shift) - 1;
}

// The finalizer of splitmix64: near keys go far apart.
std::uint64_t mix(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

struct Registry {
  std::mutex mutex;
  std::vector<std::weak_ptr<detail::StranglerCore>> cores;
};

// Never destroyed: Stranglers may be globals.
Registry& registry() {
  static Registry* const shared = new Registry;
  return *shared;
}

std::string quoted(const std::string& text) {
  std::ostringstream result;
  result << '"' << std::hex << std::setfill('0');
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20)
      result << "\\u" << std::setw(4) << static_cast<int>(c);
    else if (c == '"' || c == '\\')
      result << '\\' << c;
    else
      result << c;
  }
  result << '"';
  return result.str();
}

const char* name_of(StranglerMode mode) noexcept {
  switch (mode) {
    case StranglerMode::percentage: return "percentage";
    case StranglerMode::rule: return "rule";
    case StranglerMode::shadow: break;
  }
  return "shadow";
}

std::string route_of(const StranglerReport& report) {
  if (report.retreated) return "retreated";
  if (report.mode != StranglerMode::percentage) return name_of(report.mode);
  std::ostringstream text;
  text << report.percentage << "%";
  return text.str();
}

void print_side(std::ostream& table, const StranglerSideReport& side) {
  table << std::right << std::setw(10) << side.calls << std::setw(9) << side.errors << std::setw(11)
        << side.cancelled << std::setw(9) << side.running << std::setw(11) << side.p50_seconds * 1e3
        << std::setw(11) << side.p90_seconds * 1e3 << std::setw(11) << side.p99_seconds * 1e3
        << std::setw(11) << side.max_seconds * 1e3 << "\n";
}

void print_shadow(std::ostream& table, const ShadowReport& shadow) {
  if (shadow.runs + shadow.dropped == 0) return;
  table << "  shadow: " << shadow.runs << " runs, " << shadow.matches << " match, "
        << shadow.mismatches << " mismatch, old alone failed " << shadow.old_failed
        << ", new alone failed " << shadow.new_failed << ", " << shadow.cancelled << " cancelled, "
        << shadow.dropped << " dropped, " << shadow.running << " running\n";
}

void write_side(std::ostream& json, const StranglerSideReport& side) {
  json << "{\"calls\": " << side.calls << ", \"errors\": " << side.errors
       << ", \"cancelled\": " << side.cancelled << ", \"running\": " << side.running
       << ", \"p50_seconds\": " << side.p50_seconds << ", \"p90_seconds\": " << side.p90_seconds
       << ", \"p99_seconds\": " << side.p99_seconds << ", \"max_seconds\": " << side.max_seconds
       << "}";
}

void write_shadow(std::ostream& json, const ShadowReport& shadow) {
  json << "{\"runs\": " << shadow.runs << ", \"matches\": " << shadow.matches
       << ", \"mismatches\": " << shadow.mismatches << ", \"old_failed\": " << shadow.old_failed
       << ", \"new_failed\": " << shadow.new_failed << ", \"cancelled\": " << shadow.cancelled
       << ", \"dropped\": " << shadow.dropped << ", \"running\": " << shadow.running << "}";
}

}  // namespace

void LatencyHistogram::record(uvlet::Time nanoseconds) noexcept {
  const std::uint64_t value = nanoseconds < 0 ? 0 : static_cast<std::uint64_t>(nanoseconds);
  ++buckets_[bucket_of(value)];
  ++count_;
  max_ = std::max(max_, value);
}

double LatencyHistogram::percentile(double percent) const noexcept {
  if (count_ == 0) return 0;
  const double part = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_);
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(part)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < size; ++i) {
    seen += buckets_[i];
    if (seen >= rank) return static_cast<double>(std::min(highest_in(i), max_)) * 1e-9;
  }
  return max();
}

std::vector<StranglerReport> stranglers() {
  Registry& all = registry();
  std::vector<std::shared_ptr<detail::StranglerCore>> alive;
  {
    const std::lock_guard lock(all.mutex);
    for (const auto& core : all.cores)
      if (auto present = core.lock()) alive.push_back(std::move(present));
  }
  std::vector<StranglerReport> result;
  for (const auto& core : alive) result.push_back(core->report());
  return result;
}

void print_stranglers(std::ostream& out) {
  const std::vector<StranglerReport> all = stranglers();
  std::size_t width = 9;
  for (const StranglerReport& report : all) width = std::max(width, report.name.size());
  const auto name_width = static_cast<int>(width);
  std::ostringstream table;
  table << std::left << std::setw(name_width) << "strangler"
        << "  route       side     calls   errors  cancelled  running     p50 ms     p90 ms     "
           "p99 ms     max ms\n";
  table << std::fixed << std::setprecision(3);
  for (const StranglerReport& report : all) {
    table << std::left << std::setw(name_width) << report.name << "  " << std::setw(10)
          << route_of(report) << "  old";
    print_side(table, report.old_side);
    table << std::setw(name_width + 17) << "new";
    print_side(table, report.new_side);
    print_shadow(table, report.shadow);
  }
  out << table.str();
}

std::string stranglers_json() {
  std::ostringstream json;
  json.imbue(std::locale::classic());
  json << "[";
  const char* separator = "\n";
  for (const StranglerReport& report : stranglers()) {
    json << separator << "  {\"name\": " << quoted(report.name) << ", \"mode\": \""
         << name_of(report.mode) << "\", \"percentage\": " << report.percentage
         << ", \"retreated\": " << (report.retreated ? "true" : "false") << ", \"old\": ";
    write_side(json, report.old_side);
    json << ", \"new\": ";
    write_side(json, report.new_side);
    json << ", \"shadow\": ";
    write_shadow(json, report.shadow);
    json << "}";
    separator = ",\n";
  }
  json << "\n]\n";
  return json.str();
}

namespace detail {

// FNV-1a.
std::uint64_t hash_bytes(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

StranglerCore::StranglerCore(std::string name)
    : name_(std::move(name)), salt_(mix(hash_bytes(name_))) {
  no_shadows.set();
}

StranglerSideReport StranglerCore::Side::report() const noexcept {
  StranglerSideReport result;
  result.calls = calls;
  result.errors = errors;
  result.cancelled = cancelled;
  result.running = running;
  result.p50_seconds = latency.percentile(50);
  result.p90_seconds = latency.percentile(90);
  result.p99_seconds = latency.percentile(99);
  result.max_seconds = latency.max();
  return result;
}

StranglerReport StranglerCore::report() const {
  StranglerReport result;
  result.name = name_;
  const std::lock_guard lock(mutex_);
  result.mode = mode_;
  result.percentage = parts_ * 100.0 / whole;
  result.retreated = retreated_;
  result.old_side = sides_[0].report();
  result.new_side = sides_[1].report();
  result.shadow = shadow_;
  return result;
}

void StranglerCore::set_percentage(double percentage) {
  if (!(percentage >= 0 && percentage <= 100))
    throw std::invalid_argument("Strangler: a percentage is from 0 to 100");
  const std::lock_guard lock(mutex_);
  change_mode(StranglerMode::percentage);
  parts_ = static_cast<std::uint32_t>(std::lround(percentage / 100 * whole));
}

void StranglerCore::set_mode(StranglerMode mode) noexcept {
  const std::lock_guard lock(mutex_);
  change_mode(mode);
}

void StranglerCore::change_mode(StranglerMode mode) noexcept {
  mode_ = mode;
  retreated_ = false;
  window_calls_ = window_errors_ = 0;
}

void StranglerCore::set_shadow_limit(std::size_t limit) {
  if (limit == 0) throw std::invalid_argument("Strangler: a limit of 0 shadow runs");
  const std::lock_guard lock(mutex_);
  shadow_limit_ = limit;
}

void StranglerCore::set_retreat(double error_rate, unsigned calls) {
  if (!(error_rate >= 0 && error_rate < 1) || calls == 0)
    throw std::invalid_argument("Strangler: retreat at an error rate from 0 to 1 of some calls");
  const std::lock_guard lock(mutex_);
  error_rate_max_ = error_rate;
  window_ = calls;
  window_calls_ = window_errors_ = 0;
}

StranglerMode StranglerCore::mode() const noexcept {
  const std::lock_guard lock(mutex_);
  return mode_;
}

StranglerRoute StranglerCore::route() noexcept {
  const std::lock_guard lock(mutex_);
  StranglerRoute result;
  result.shadow = mode_ == StranglerMode::shadow;
  if (result.shadow || retreated_) return result;
  turn_ += parts_;
  if (turn_ < whole) return result;
  turn_ -= whole;
  result.side = StranglerSide::new_side;
  return result;
}

StranglerRoute StranglerCore::route_by_key(std::uint64_t key) const noexcept {
  const std::lock_guard lock(mutex_);
  StranglerRoute result;
  if (!retreated_ && mix(key ^ salt_) % whole < parts_) result.side = StranglerSide::new_side;
  return result;
}

StranglerRoute StranglerCore::route_by_rule(bool to_new_side) const noexcept {
  const std::lock_guard lock(mutex_);
  StranglerRoute result;
  if (!retreated_ && to_new_side) result.side = StranglerSide::new_side;
  return result;
}

void StranglerCore::call_begins(StranglerSide side) noexcept {
  const std::lock_guard lock(mutex_);
  Side& counts = sides_[static_cast<std::size_t>(side)];
  ++counts.calls;
  ++counts.running;
}

void StranglerCore::call_ends(StranglerSide side, Ending ending, uvlet::Time length,
                              bool real) noexcept {
  const std::lock_guard lock(mutex_);
  Side& counts = sides_[static_cast<std::size_t>(side)];
  --counts.running;
  if (ending == Ending::cancelled) {
    ++counts.cancelled;
    return;
  }
  counts.latency.record(length);
  if (ending == Ending::error) ++counts.errors;
  if (real && side == StranglerSide::new_side) look_at_errors(ending == Ending::error);
}

void StranglerCore::look_at_errors(bool failed) noexcept {
  if (window_ == 0) return;
  window_errors_ += failed;
  if (window_errors_ > error_rate_max_ * window_) retreated_ = true;
  if (++window_calls_ == window_) window_calls_ = window_errors_ = 0;
}

bool StranglerCore::shadow_begins() noexcept {
  const std::lock_guard lock(mutex_);
  if (shadow_.running >= shadow_limit_) {
    ++shadow_.dropped;
    return false;
  }
  ++shadow_.runs;
  ++shadow_.running;
  no_shadows.clear();
  return true;
}

void StranglerCore::shadow_ends(ShadowVerdict verdict) noexcept {
  const std::lock_guard lock(mutex_);
  switch (verdict) {
    case ShadowVerdict::match: ++shadow_.matches; break;
    case ShadowVerdict::mismatch: ++shadow_.mismatches; break;
    case ShadowVerdict::old_failed: ++shadow_.old_failed; break;
    case ShadowVerdict::new_failed: ++shadow_.new_failed; break;
    case ShadowVerdict::cancelled: ++shadow_.cancelled; break;
  }
  if (--shadow_.running == 0) no_shadows.set();
}

void list_strangler(const std::shared_ptr<StranglerCore>& core) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.cores, [](const auto& each) { return each.expired(); });
  all.cores.push_back(core);
}

MeasuredCall::MeasuredCall(StranglerCore& core, StranglerSide side, bool real) noexcept
    : core_(core), side_(side), real_(real), start_(uvlet::Hub::get().now()) {
  core_.call_begins(side_);
}

MeasuredCall::~MeasuredCall() {
  if (!ended_) end(StranglerCore::Ending::cancelled);
}

void MeasuredCall::succeeded() noexcept { end(StranglerCore::Ending::success); }

bool MeasuredCall::failed() noexcept {
  if (ended_) return false;  // its result could not be moved to the caller
  try {
    throw;
  } catch (const uvlet::GreenletExit&) {
    return false;
  } catch (const uvlet::CancelledError&) {
    return false;
  } catch (...) {
    end(StranglerCore::Ending::error);
    return true;
  }
}

void MeasuredCall::end(StranglerCore::Ending ending) noexcept {
  ended_ = true;
  const bool timed = ending != StranglerCore::Ending::cancelled;
  core_.call_ends(side_, ending, timed ? uvlet::Hub::get().now() - start_ : 0, real_);
}

}  // namespace detail
}  // namespace green

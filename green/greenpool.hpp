#pragma once

#include <green/awaitlet.hpp>
#include <green/greenthread.hpp>
#include <uvlet/signal.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace green {
namespace detail {

// The places of a pool. Invariant: a spawner waits only while `running` >= `size`.
struct UVLET_API PoolCore {
  explicit PoolCore(int places);

  // Somebody's place is free again.
  void release() noexcept;
  // Hands free places to who waits, in the order in which they came.
  void grant() noexcept;
  void resize(int places);
  int waiting() const noexcept;
  bool inside() const noexcept {
    const uvlet::Root& root = *uvlet::Hub::get().running();
    return root.kind == uvlet::Root::Kind::green &&
           static_cast<const uvlet::GreenRoot&>(root).pool == this;
  }
  bool full() const noexcept { return running >= size; }

  int size;
  int running = 0;
  uvlet::List<uvlet::Waiter> spawners;
  uvlet::Signal idle{"a GreenPool to be idle"};
};

// One place in a pool, given back when destroyed.
class Slot {
 public:
  explicit Slot(std::shared_ptr<PoolCore> core) noexcept : core_(std::move(core)) {}
  Slot(Slot&&) noexcept = default;
  Slot& operator=(Slot&&) = delete;
  ~Slot() {
    if (core_) core_->release();
  }

 private:
  std::shared_ptr<PoolCore> core_;
};

// The wait for a place. One that is granted and not taken goes to the next.
class UVLET_API SlotWait : public uvlet::Waiter {
 public:
  explicit SlotWait(std::shared_ptr<PoolCore> core) noexcept : core_(std::move(core)) {}
  SlotWait(SlotWait&& other) noexcept
      : Waiter(std::move(other)),
        core_(other.core_),
        granted_(std::exchange(other.granted_, false)) {}
  ~SlotWait() {
    if (granted_) core_->release();
  }

  bool ready() noexcept;
  void suspend(uvlet::Hub&) noexcept { core_->spawners.push_back(this); }
  uvlet::Cancel cancel() noexcept override;
  const char* describe() const noexcept override { return "a place in a GreenPool"; }
  void grant() noexcept {
    granted_ = true;
    wake();
  }

 protected:
  Slot take() noexcept {
    granted_ = false;
    return Slot(core_);
  }
  std::shared_ptr<PoolCore> core_;
  bool granted_ = false;
};

class Acquire final : public uvlet::Operation<Acquire, SlotWait> {
 public:
  using Operation::Operation;
  Slot result() noexcept { return take(); }
};

// A call that holds its place in a pool until it has ended.
template <class Function>
struct PooledCall {
  Function function;
  Slot slot;
  decltype(auto) operator()() { return function(); }
};

// GreenPool::spawn: waits for a place, then starts; from inside the full pool, runs in place.
template <class R, class Function>
class PoolSpawn final : public uvlet::Operation<PoolSpawn<R, Function>, SlotWait> {
 public:
  PoolSpawn(std::shared_ptr<PoolCore> core, Function function, void* spawned_at, bool reported)
      : uvlet::Operation<PoolSpawn, SlotWait>(std::move(core)),
        function_(std::move(function)),
        spawned_at_(spawned_at),
        reported_(reported) {}
  PoolSpawn(PoolSpawn&&) = default;

  // Nobody looks at the result: what it throws in place is printed too, but for interrupts.
  PoolSpawn&& unheeded() && noexcept {
    unheeded_ = true;
    return std::move(*this);
  }

  bool ready() {
    in_place_ = this->core_->full() && this->core_->inside();
    return in_place_ || SlotWait::ready();
  }
  GreenThread<R> result() {
    if (in_place_) return run_in_place();
    PoolCore* core = this->core_.get();
    return start<R>(uvlet::Hub::get(), spawned_at_,
                    PooledCall<Function>{std::move(function_), this->take()}, AtOnce(), reported_,
                    core);
  }

 private:
  GreenThread<R> run_in_place() {
    auto* state = new State<R>;
    state->id = uvlet::Hub::get().next_id();
    GreenThread<R> thread(uvlet::Handle<State<R>>::adopt(state));
    state->started = true;
    try {
      if constexpr (std::is_void_v<R>) {
        function_();
        state->set_value();
      } else {
        state->set_value(function_());
      }
    } catch (const uvlet::BaseException&) {
      throw;
    } catch (...) {
      if (!unheeded_) throw;
      state->set_error(uvlet::caught_exception());
      uvlet::report_exception(*uvlet::Hub::get().running(), state->error());
    }
    state->finished = state->announced = true;
    return thread;
  }

  Function function_;
  void* spawned_at_;
  bool reported_;
  bool unheeded_ = false;
  bool in_place_ = false;
};

// Results that come in a fixed order, from green threads that may end in any.
template <class R>
struct Results {
  std::deque<GreenThread<R>> queue;
  std::size_t expected = 0;      // results announced but not yet in the queue
  bool open = false;             // more may be announced
  std::exception_ptr end_error;  // thrown once, where the results end
  uvlet::Signal changed{"the next result"};
};

// The end of a green thread, whatever it is.
template <class T>
class Ended final : public uvlet::Operation<Ended<T>, Join<T>> {
 public:
  explicit Ended(uvlet::Handle<State<T>> state)
      : uvlet::Operation<Ended, Join<T>>(std::move(state), false) {}
  Ended(Ended&&) = default;
  void result() const noexcept {}
};

// A result whose wait is cut short stays the next one.
template <class R>
aio::task<std::optional<R>> next_result(std::shared_ptr<Results<R>> results) {
  while (results->queue.empty()) {
    if (!results->open && results->expected == 0) {
      if (results->end_error) uvlet::rethrow(std::exchange(results->end_error, nullptr));
      co_return std::nullopt;
    }
    co_await results->changed.wait();
  }
  GreenThread<R> first = std::move(results->queue.front());
  results->queue.pop_front();
  try {
    co_await Ended<R>(
        uvlet::Handle<State<R>>::share(static_cast<State<R>*>(first.identity().get())));
  } catch (...) {
    results->queue.push_front(std::move(first));
    results->changed.notify_all();  // to others who read here
    throw;
  }
  results->changed.notify_all();
  co_return co_await std::move(first).wait_async();
}

// Makes something with `std::optional<R> next()` an input range.
template <class Source, class R>
class NextIterator {
 public:
  using value_type = R;
  using difference_type = std::ptrdiff_t;
  NextIterator() = default;
  explicit NextIterator(Source& source) : source_(&source), value_(source.next()) {}
  R& operator*() const { return *value_; }
  NextIterator& operator++() {
    value_ = source_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const { return !value_; }

 private:
  Source* source_ = nullptr;
  mutable std::optional<R> value_;
};

// The result of a call in a map or pile: void as std::monostate.
template <class R, class F, class... A>
R call_for(F&& function, A&&... arguments) {
  if constexpr (std::is_void_v<std::invoke_result_t<F, A...>>) {
    std::invoke(std::forward<F>(function), std::forward<A>(arguments)...);
    return R{};
  } else {
    return std::invoke(std::forward<F>(function), std::forward<A>(arguments)...);
  }
}

// A range kept for later, as std::views::all keeps it (which clang 14 cannot compile): what is an
// rvalue or a view is owned, what is an lvalue is referred to.
template <class Range>
class Kept {
 public:
  explicit Kept(Range&& range) : range_(pass(range)) {}
  auto begin() { return std::begin(get()); }
  auto end() { return std::end(get()); }
  using value_type = std::iter_value_t<decltype(std::begin(
      std::declval<std::add_lvalue_reference_t<std::remove_reference_t<Range>>>()))>;
  // An item by value, moved out of a container that is owned.
  template <class Iterator>
  static value_type item(const Iterator& place) {
    if constexpr (referred || std::ranges::enable_view<Bare>)
      return value_type(*place);
    else
      return value_type(std::ranges::iter_move(place));
  }

 private:
  using Bare = std::remove_reference_t<Range>;
  static constexpr bool referred =
      std::is_lvalue_reference_v<Range> && !std::ranges::enable_view<std::remove_cv_t<Bare>>;
  static decltype(auto) pass(Bare& range) {
    if constexpr (referred)
      return &range;
    else
      return std::forward<Range>(range);
  }
  auto& get() {
    if constexpr (referred)
      return *range_;
    else
      return range_;
  }

  std::conditional_t<referred, Bare*, std::remove_cv_t<Bare>> range_;
};
template <class Range>
Kept<Range> keep(Range&& range) {
  return Kept<Range>(std::forward<Range>(range));
}
template <class Range>
using item_t = typename Kept<Range>::value_type;

struct MakeTuple {
  template <class... A>
  std::tuple<A...> operator()(A... arguments) const {
    return {std::move(arguments)...};
  }
};

}  // namespace detail

// The results of a GreenPool::imap, in the order of the input. Move-only; destroying it stops the
// feeding and kills its workers.
template <class R>
class GreenMap {
 public:
  struct Shared : detail::Results<R> {
    Greenlet feeder;
    std::shared_ptr<detail::PoolCore> pool;
  };
  explicit GreenMap(std::shared_ptr<Shared> shared) noexcept : shared_(std::move(shared)) {}
  GreenMap(GreenMap&&) noexcept = default;
  GreenMap& operator=(GreenMap&&) = delete;
  ~GreenMap() {
    if (shared_) stop();
  }

  // nullopt at the end. Throws what that item's call, or the range, threw, and stays usable.
  // Blocks the green thread. Cancel point.
  std::optional<R> next() { return detail::drive(next_async()); }
  aio::task<std::optional<R>> next_async() { return detail::next_result<R>(shared_); }

  detail::NextIterator<GreenMap, R> begin() { return detail::NextIterator<GreenMap, R>(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  // They unwind before this returns, if they can at once: f may refer to what goes next.
  void stop() noexcept {
    uvlet::Hub& hub = uvlet::Hub::get();
    const uvlet::Shield shield;
    auto kill = [&hub](const Greenlet& thread) {
      uvlet::Root* root = thread.dead() ? nullptr : thread.identity()->root;
      if (!root) return;
      if (hub.running()->may_wait())
        hub.kill(*root, nullptr);
      else
        root->kill();
    };
    kill(shared_->feeder);
    const auto workers = std::move(shared_->queue);
    for (const auto& worker : workers) kill(worker);
  }

  std::shared_ptr<Shared> shared_;
};

// At most `size` green threads at once; spawning waits for a place. Source:
// eventlet.greenpool.GreenPool. Destroying it lets its green threads run on.
class UVLET_API GreenPool {
 public:
  // Throws invalid_argument for a negative size. With 0 places every spawn blocks.
  explicit GreenPool(int size = 1000) : core_(std::make_shared<detail::PoolCore>(size)) {}

  // As green::spawn. Called from inside the full pool it runs f in place, and throws what f throws.
  // Waits while the pool is full. Blocks the green thread. Cancel point.
  template <class F, class... A>
  [[gnu::always_inline]] auto spawn(F&& f, A&&... a)
      -> GreenThread<detail::call_result_t<F, A...>> {
    return uvlet::block(
        spawning(uvlet::this_address(), true, std::forward<F>(f), std::forward<A>(a)...));
  }
  template <class F, class... A>
  [[gnu::always_inline]] auto spawn_async(F&& f, A&&... a) {
    return spawning(uvlet::this_address(), true, std::forward<F>(f), std::forward<A>(a)...);
  }
  // The same without a result: in place, too, what f throws is printed, but for interrupts.
  template <class F, class... A>
  [[gnu::always_inline]] void spawn_n(F&& f, A&&... a) {
    uvlet::block(spawn_n_async(std::forward<F>(f), std::forward<A>(a)...));
  }
  template <class F, class... A>
  [[gnu::always_inline]] auto spawn_n_async(F&& f, A&&... a) {
    return spawning(uvlet::this_address(), true, std::forward<F>(f), std::forward<A>(a)...)
        .unheeded();
  }

  // Waits until none of its green threads is left; rethrows nothing. Throws logic_error from inside
  // one of them. Blocks the green thread. Cancel point.
  void waitall() { detail::drive(waitall_async()); }
  aio::task<void> waitall_async();
  // Waits until a spawn would not block. Blocks the green thread. Cancel point.
  void wait_for_room() { uvlet::block(wait_for_room_async()); }
  detail::Acquire wait_for_room_async() { return detail::Acquire(core_); }

  // Growing wakes blocked spawners; shrinking ends nothing. Throws invalid_argument if negative.
  void resize(int size) { core_->resize(size); }
  int size() const noexcept { return core_->size; }
  int running() const noexcept { return core_->running; }  // those not yet started included
  int free() const noexcept { return core_->size - core_->running; }  // negative after a shrink
  int waiting() const noexcept { return core_->waiting(); }           // blocked spawners

  // f over the items of the ranges, taken together, in green threads of its own: as many at once as
  // this pool's size, and about as many read ahead. Nothing is read before the first switch. With
  // nullptr for f the items themselves, as tuples.
  template <class F, class... Ranges>
  auto imap(F f, Ranges&&... ranges) {
    if constexpr (std::is_null_pointer_v<F>) {
      return imap(detail::MakeTuple(), std::forward<Ranges>(ranges)...);
    } else {
      using R = uvlet::stored_t<std::invoke_result_t<F&, detail::item_t<Ranges>...>>;
      std::tuple<detail::Kept<Ranges>...> kept(detail::keep(std::forward<Ranges>(ranges))...);
      return map<R>(std::move(f), [kept = std::move(kept)](auto&& each) mutable {
        std::apply([&](auto&... range) { zip(each, range...); }, kept);
      });
    }
  }
  // f over the tuples of one range, unpacked.
  template <class F, class RangeOfTuples>
  auto starmap(F f, RangeOfTuples&& range) {
    using Tuple = detail::item_t<RangeOfTuples>;
    using R = uvlet::stored_t<decltype(std::apply(f, std::declval<Tuple>()))>;
    auto unpacked = [f = std::move(f)](Tuple arguments) mutable -> decltype(auto) {
      return std::apply(f, std::move(arguments));
    };
    return map<R>(std::move(unpacked), [kept = detail::keep(std::forward<RangeOfTuples>(range))](
                                           auto&& each) mutable { zip(each, kept); });
  }

 private:
  template <class R>
  friend class GreenPile;
  explicit GreenPool(std::shared_ptr<detail::PoolCore> core) noexcept : core_(std::move(core)) {}

  template <class F, class... A>
  auto spawning(void* spawned_at, bool reported, F&& f, A&&... a) {
    auto call = detail::make_call(std::forward<F>(f), std::forward<A>(a)...);
    return detail::PoolSpawn<detail::call_result_t<F, A...>, decltype(call)>(core_, std::move(call),
                                                                             spawned_at, reported);
  }

  template <class Each, class... Kept>
  static void zip(Each& each, Kept&... ranges) {
    auto at = std::make_tuple(ranges.begin()...);
    auto ends = std::make_tuple(ranges.end()...);
    auto ended = [&]<std::size_t... i>(std::index_sequence<i...>) {
      return ((std::get<i>(at) == std::get<i>(ends)) || ...);
    };
    while (!ended(std::index_sequence_for<Kept...>())) {
      std::apply([&](auto&... place) { each(Kept::item(place)...); }, at);
      std::apply([](auto&... place) { (++place, ...); }, at);
    }
  }

  // `feed(each)` calls each(item...) for all items.
  template <class R, class F, class Feed>
  GreenMap<R> map(F f, Feed feed) {
    using Shared = typename GreenMap<R>::Shared;
    auto shared = std::make_shared<Shared>();
    shared->open = true;
    shared->pool = std::make_shared<detail::PoolCore>(size());
    auto function = std::make_shared<F>(std::move(f));
    auto feeding = [shared, function, feed = std::move(feed)]() mutable {
      const auto bound = static_cast<std::size_t>(shared->pool->size);
      GreenPool pool(shared->pool);
      try {
        feed([&](auto... item) {
          auto call = [function](decltype(item)... argument) {
            return detail::call_for<R>(*function, std::move(argument)...);
          };
          shared->queue.push_back(uvlet::block(
              pool.spawning(uvlet::this_address(), false, std::move(call), std::move(item)...)));
          shared->changed.notify_all();
          while (shared->queue.size() > bound) uvlet::block(shared->changed.wait());
        });
      } catch (const GreenletExit&) {
      } catch (...) {
        shared->end_error = uvlet::caught_exception();
      }
      shared->open = false;
      shared->changed.notify_all();
    };
    shared->feeder = green::spawn(std::move(feeding));
    return GreenMap<R>(std::move(shared));
  }

  std::shared_ptr<detail::PoolCore> core_;
};

// Green threads whose results are read in the order of their spawns. Usable again after its end.
// Source: eventlet.greenpool.GreenPile.
template <class R>
class GreenPile {
 public:
  explicit GreenPile(int size = 1000) : pool_(size) {}
  // Works in a pool that others use too.
  explicit GreenPile(GreenPool& pool) : pool_(pool.core_) {}

  // Waits while the pool is full. Blocks the green thread. Cancel point.
  template <class F, class... A>
  void spawn(F&& f, A&&... a) {
    detail::drive(spawn_async(std::forward<F>(f), std::forward<A>(a)...));
  }
  template <class F, class... A>
  aio::task<void> spawn_async(F f, A... a) {
    auto call = [f = std::move(f)](A... argument) mutable {
      return detail::call_for<R>(std::move(f), std::move(argument)...);
    };
    return spawning(results_,
                    pool_.spawning(uvlet::this_address(), false, std::move(call), std::move(a)...));
  }

  // The next result; nullopt when all that was spawned has been read. Throws what its call threw,
  // and stays usable. Blocks the green thread. Cancel point.
  std::optional<R> next() { return detail::drive(next_async()); }
  aio::task<std::optional<R>> next_async() { return detail::next_result<R>(results_); }

  detail::NextIterator<GreenPile, R> begin() { return detail::NextIterator<GreenPile, R>(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  template <class Spawn>
  static aio::task<void> spawning(std::shared_ptr<detail::Results<R>> results, Spawn spawn) {
    ++results->expected;
    try {
      results->queue.push_back(co_await std::move(spawn));
    } catch (...) {
      --results->expected;
      results->changed.notify_all();
      throw;
    }
    --results->expected;
    results->changed.notify_all();
  }

  GreenPool pool_;
  std::shared_ptr<detail::Results<R>> results_ = std::make_shared<detail::Results<R>>();
};

}  // namespace green

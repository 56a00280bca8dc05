#pragma once

#include <green/awaitlet.hpp>
#include <green/greenpool.hpp>
#include <green/greenthread.hpp>
#include <uvlet/signal.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace green {
namespace detail {

// A key as text, for messages.
template <class K>
std::string key_text(const K& key) {
  if constexpr (requires(std::ostream & out) { out << key; }) {
    std::ostringstream text;
    text << key;
    return text.str();
  } else {
    return "?";
  }
}

}  // namespace detail

// A key that has its green thread or its value already; what() names it.
struct Collision : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// In the place of a value: the green thread of `key` ended with an exception. That may be another
// PropagateError, of a key it depends on; what() names all of them.
template <class K>
class PropagateError : public std::runtime_error {
 public:
  // Throws invalid_argument for a null pointer.
  PropagateError(K key, std::exception_ptr exc)
      : std::runtime_error(text(key, exc)), key_(std::move(key)), exc_(std::move(exc)) {}

  const K& key() const noexcept { return key_; }
  std::exception_ptr exc() const noexcept { return exc_; }

 private:
  static std::string text(const K& key, const std::exception_ptr& exc) {
    if (!exc) throw std::invalid_argument("a PropagateError without an exception");
    return "PropagateError(" + detail::key_text(key) + "): " + uvlet::describe(exc);
  }

  K key_;
  std::exception_ptr exc_;
};

namespace detail {

// The keys that one reader wants: those that have no value yet, and those that have one that was
// not read, in the order in which they got it.
template <class K>
struct DAGWanted {
  std::set<K> pending;
  std::deque<K> ready;
  uvlet::Signal changed{"values of a DAGPool"};
};

template <class K, class V>
class DAGState {
 public:
  using Error = PropagateError<K>;
  using Wanted = std::shared_ptr<DAGWanted<K>>;
  struct Value {
    std::optional<V> value;
    std::optional<Error> error;  // the one or the other
    std::uint64_t number;        // the order in which keys got their first value
    const V& get() const {
      if (error) throw *error;
      return *value;
    }
  };
  struct Running {
    Greenlet thread;
    Wanted depends;
  };

  static Collision collision(const K& key) { return Collision("DAGPool: " + key_text(key)); }
  // Throws out_of_range.
  [[noreturn]] static void unknown(const K& key) {
    throw std::out_of_range("DAGPool: no key " + key_text(key));
  }

  const Value* find(const K& key) const {
    const auto found = values.find(key);
    return found == values.end() ? nullptr : &found->second;
  }

  Wanted want(const std::set<K>& keys) {
    auto wanted = std::make_shared<DAGWanted<K>>();
    std::map<std::uint64_t, K> present;
    for (const K& key : keys) {
      if (const Value* value = find(key)) {
        present.emplace(value->number, key);
      } else {
        wanted->pending.insert(key);
        add_reader(readers[key], wanted);
      }
    }
    for (auto& [number, key] : present) wanted->ready.push_back(key);
    return wanted;
  }
  std::set<K> known() const {
    std::set<K> keys;
    for (const auto& [key, value] : values) keys.insert(key);
    for (const auto& [key, thread] : running) keys.insert(key);
    return keys;
  }

  void post(const K& key, std::optional<V> value, std::optional<Error> error, bool replace) {
    const auto thread = running.find(key);
    if (thread != running.end() && !(thread->second.thread == getcurrent())) throw collision(key);
    if (!replace && values.contains(key)) throw collision(key);
    store(key, std::move(value), std::move(error));
  }

  // Called in the green thread that has ended; `key` may have been forgotten, or be another's.
  void ended(const K& key, GreenThread<V> thread) {
    const auto mine = running.find(key);
    if (mine == running.end() || !(mine->second.thread == thread)) return;
    running.erase(mine);
    if (values.contains(key)) return;  // it posted itself
    try {
      store(key, std::move(thread).wait(), {});
    } catch (...) {
      store(key, {}, Error(key, uvlet::caught_exception()));
    }
  }

  std::map<K, Value> values;
  std::map<K, Running> running;

 private:
  using Readers = std::vector<std::weak_ptr<DAGWanted<K>>>;

  // Those that are gone leave before the vector would have to grow.
  static void add_reader(Readers& all, const Wanted& reader) {
    if (all.size() == all.capacity()) {
      std::erase_if(all, [](const auto& one) { return one.expired(); });
      all.reserve(2 * all.size() + 2);
    }
    all.push_back(reader);
  }

  void store(const K& key, std::optional<V> value, std::optional<Error> error) {
    const auto [place, first] = values.try_emplace(key);
    place->second.value = std::move(value);
    place->second.error = std::move(error);
    if (!first) return;
    place->second.number = ++last_number;
    const auto waiting = readers.extract(key);
    if (waiting.empty()) return;
    for (const auto& reader : waiting.mapped()) {
      const Wanted wanted = reader.lock();
      if (!wanted) continue;
      wanted->pending.erase(key);
      wanted->ready.push_back(key);
      wanted->changed.notify_all();
    }
  }

  std::map<K, Readers> readers;  // of each key without a value
  std::uint64_t last_number = 0;
};

// Pairs of keys and what they got, in the order in which they got it: values, or, where that is
// `Got`, errors. A single-pass input range; copies are one and the same.
template <class K, class V, class Got = V>
class DAGEach {
  using State = DAGState<K, V>;

 public:
  using value_type = std::pair<K, Got>;

  DAGEach(std::shared_ptr<State> state, typename State::Wanted wanted, bool skip_errors) noexcept
      : state_(std::move(state)), wanted_(std::move(wanted)), skip_errors_(skip_errors) {}

  // nullopt at the end. Throws a PropagateError that is in the place of a value, unless it skips
  // them, and can be read on. Blocks the green thread. Cancel point.
  std::optional<value_type> next() { return drive(next_async()); }
  aio::task<std::optional<value_type>> next_async() {
    return reading(state_, wanted_, skip_errors_);
  }

  NextIterator<DAGEach, value_type> begin() { return NextIterator<DAGEach, value_type>(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  static aio::task<std::optional<value_type>> reading(std::shared_ptr<State> state,
                                                      typename State::Wanted wanted,
                                                      bool skip_errors) {
    for (;;) {
      if (!wanted->ready.empty()) {
        K key = std::move(wanted->ready.front());
        wanted->ready.pop_front();
        if (wanted->ready.empty() && wanted->pending.empty()) wanted->changed.notify_all();
        const auto& got = *state->find(key);
        if constexpr (std::is_same_v<Got, PropagateError<K>>) {
          if (got.error) co_return value_type(std::move(key), *got.error);
        } else {
          if (!skip_errors || !got.error) co_return value_type(std::move(key), got.get());
        }
      } else if (wanted->pending.empty()) {
        co_return std::nullopt;
      } else {
        co_await wanted->changed.wait();
      }
    }
  }

  std::shared_ptr<State> state_;
  typename State::Wanted wanted_;
  bool skip_errors_;
};

}  // namespace detail

// Green threads that depend on each other's values: each has a key, and runs on as the values of
// the keys it depends on come. V is copied to each reader. Source: eventlet.dagpool. Destroying the
// pool lets its green threads run on.
template <class K, class V>
class DAGPool {
  using State = detail::DAGState<K, V>;

 public:
  // Pairs of K and V, and of K and PropagateError: each step may block.
  using Results = detail::DAGEach<K, V>;
  using Errors = detail::DAGEach<K, V, PropagateError<K>>;

  DAGPool() : DAGPool(std::map<K, V>()) {}
  explicit DAGPool(std::map<K, V> preload) : state_(std::make_shared<State>()) {
    for (auto& [key, value] : preload) post(key, std::move(value));
  }
  DAGPool(const DAGPool&) = delete;
  DAGPool& operator=(const DAGPool&) = delete;

  // Runs f(key, results, args...) -> V in a green thread of its own, where `results` gives the
  // values of `depends`. What it returns becomes the key's value, unless it has posted one itself;
  // what it throws, a PropagateError. Throws Collision for a key that was used. Never switches.
  template <class F, class... A>
  [[gnu::always_inline]] void spawn(K key, std::vector<K> depends, F f, A... args) {
    launch(uvlet::this_address(), std::move(key), depends, std::move(f), std::move(args)...);
  }
  // The same for each key, with copies of f and args; at a Collision some may have been spawned.
  template <class F, class... A>
  [[gnu::always_inline]] void spawn_many(const std::map<K, std::vector<K>>& depends, F f,
                                         A... args) {
    for (const auto& [key, keys] : depends) launch(uvlet::this_address(), key, keys, f, args...);
  }

  // Gives the key its value, or the error that readers get in its place. Throws Collision while
  // its green thread runs, unless called by that itself, and, without `replace`, if it has one.
  // Never switches.
  void post(K key, V value, bool replace = false) {
    state_->post(key, std::move(value), {}, replace);
  }
  void post(K key, PropagateError<K> error, bool replace = false) {
    state_->post(key, {}, std::move(error), replace);
  }
  // Kills the key's green thread and forgets that it was spawned; who waits for its value goes on
  // waiting. Throws out_of_range if none runs. Blocks the green thread. Cancel point.
  void kill(const K& key) {
    const auto found = state_->running.find(key);
    if (found == state_->running.end()) State::unknown(key);
    const Greenlet thread = found->second.thread;
    state_->running.erase(found);
    thread.kill();
  }
  aio::task<> kill_async(K key) {
    kill(key);
    co_return;
  }

  // Waits for the values of all keys that are known now, or of these. Throws the first
  // PropagateError. Blocks the green thread. Cancel point.
  std::map<K, V> waitall() { return wait(); }
  std::map<K, V> wait() { return detail::drive(wait_async()); }
  std::map<K, V> wait(std::vector<K> keys) { return detail::drive(wait_async(std::move(keys))); }
  aio::task<std::map<K, V>> waitall_async() { return wait_async(); }
  aio::task<std::map<K, V>> wait_async() { return collect(wait_each()); }
  aio::task<std::map<K, V>> wait_async(std::vector<K> keys) {
    return collect(wait_each(std::move(keys)));
  }

  // The same one by one, as they come: all, the values alone, the errors alone. Never switch:
  // reading what they give does.
  Results wait_each() { return each<V>(state_->known()); }
  Results wait_each(std::vector<K> keys) { return each<V>(as_set(keys)); }
  Results wait_each_success() { return each<V>(state_->known(), true); }
  Results wait_each_success(std::vector<K> keys) { return each<V>(as_set(keys), true); }
  Errors wait_each_exception() { return each<PropagateError<K>>(state_->known()); }
  Errors wait_each_exception(std::vector<K> keys) { return each<PropagateError<K>>(as_set(keys)); }

  // Waits for the key's value, whoever will post it. Blocks the green thread. Cancel point.
  V operator[](const K& key) { return detail::drive(at_async(key)); }
  aio::task<V> at_async(K key) { return one(each<V>({std::move(key)})); }

  // The values that there are now. All throw a PropagateError that is in the place of one.
  std::optional<V> get(const K& key) const {
    const auto* found = state_->find(key);
    return found ? std::optional<V>(found->get()) : std::nullopt;
  }
  V get(const K& key, V fallback) const {
    const auto* found = state_->find(key);
    return found ? found->get() : std::move(fallback);
  }
  std::vector<std::pair<K, V>> items() const {
    std::vector<std::pair<K, V>> all;
    for (const auto& [key, value] : state_->values) all.emplace_back(key, value.get());
    return all;
  }
  // The keys that have a value or an error.
  std::vector<K> keys() const { return keys_of(state_->values); }

  // Green threads that have not ended, those that wait included.
  int running() const noexcept { return static_cast<int>(state_->running.size()); }
  std::vector<K> running_keys() const { return keys_of(state_->running); }
  // Those that depend on keys without a value, and on which: what hangs, and why.
  int waiting() const { return static_cast<int>(waiting_for().size()); }
  std::map<K, std::set<K>> waiting_for() const {
    std::map<K, std::set<K>> all;
    for (const auto& [key, thread] : state_->running)
      if (!thread.depends->pending.empty()) all.emplace(key, thread.depends->pending);
    return all;
  }
  // Throws out_of_range for a key that neither runs nor has a value.
  std::set<K> waiting_for(const K& key) const {
    const auto found = state_->running.find(key);
    if (found != state_->running.end()) return found->second.depends->pending;
    if (!state_->find(key)) State::unknown(key);
    return {};
  }

 private:
  static std::set<K> as_set(const std::vector<K>& keys) {
    return std::set<K>(keys.begin(), keys.end());
  }
  template <class Map>
  static std::vector<K> keys_of(const Map& map) {
    std::vector<K> keys;
    for (const auto& [key, value] : map) keys.push_back(key);
    return keys;
  }
  template <class Got>
  detail::DAGEach<K, V, Got> each(const std::set<K>& keys, bool skip_errors = false) {
    return {state_, state_->want(keys), skip_errors};
  }

  static aio::task<std::map<K, V>> collect(Results results) {
    std::map<K, V> all;
    while (std::optional<std::pair<K, V>> next = co_await results.next_async())
      all.insert(std::move(*next));
    co_return all;
  }
  static aio::task<V> one(Results results) {
    std::optional<std::pair<K, V>> got = co_await results.next_async();
    co_return std::move(got->second);
  }

  template <class F, class... A>
  void launch(void* spawned_at, K key, const std::vector<K>& depends, F f, A... args) {
    if (state_->running.contains(key) || state_->values.contains(key)) throw State::collision(key);
    const auto wanted = state_->want(as_set(depends));
    GreenThread<V> thread = detail::start<V>(
        uvlet::Hub::get(), spawned_at,
        detail::make_call(std::move(f), key, Results(state_, wanted, false), std::move(args)...),
        detail::AtOnce(), false);
    thread.link(
        [state = state_, key](GreenThread<V> ended) { state->ended(key, std::move(ended)); });
    state_->running.emplace(std::move(key), typename State::Running{std::move(thread), wanted});
  }

  std::shared_ptr<State> state_;
};

}  // namespace green

// A program under test, in simulation: a cache that asks a slow source once for each key, however
// many ask the cache meanwhile.

#include <green/green.hpp>
#include <uvlet/testing.hpp>

#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

// [program]
class Cache {
 public:
  explicit Cache(std::function<int(const std::string&)> source) : source_(std::move(source)) {}

  int get(const std::string& key) {
    auto& entry = entries_[key];
    if (entry) return entry->wait();  // somebody asks already, or has asked
    auto event = entry = std::make_shared<green::Event<int>>();
    try {
      event->send(source_(key));
    } catch (...) {  // also when we are killed: the others are told, and the next one asks anew
      entries_.erase(key);
      event->send_exception(std::current_exception());
      throw;
    }
    return event->wait();
  }

 private:
  std::function<int(const std::string&)> source_;
  std::map<std::string, std::shared_ptr<green::Event<int>>> entries_;
};
// [/program]

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// [explore]
std::uint64_t every_order() {
  return uvlet::testing::explore([] {
           int asked = 0;
           Cache cache([&](const std::string&) {
             ++asked;
             green::sleep(0);
             return 42;
           });
           auto one = green::spawn([&] { return cache.get("key"); });
           auto other = green::spawn([&] { return cache.get("key"); });
           require(one.wait() == 42 && other.wait() == 42, "a wrong answer");
           require(asked == 1, "the source was asked twice");
         })
      .schedules;
}
// [/explore]

// [storm]
void storm(std::uint64_t seed) {
  uvlet::testing::SimulationOptions options(seed);
  options.faults.kills = 0.1;           // of those that are exposed
  options.faults.early_timeouts = 0.1;  // time passes though somebody is ready
  uvlet::testing::simulate(options, [] {
    Cache cache([](const std::string&) {
      green::sleep(1);
      return 42;
    });
    green::GreenPool pool(10);
    for (int i = 0; i < 100; ++i)
      uvlet::testing::expose(pool.spawn([&] { require(cache.get("key") == 42, "an answer"); }));
    pool.waitall();
    require(cache.get("key") == 42, "the cache is broken for ever");
  });
}
// [/storm]

}  // namespace

int main() {
  std::printf("%llu orders\n", static_cast<unsigned long long>(every_order()));
  for (std::uint64_t seed = 1; seed <= 100; ++seed) storm(seed);
  std::printf("100 storms\n");
}

#include "../support.hpp"

#include <green/dagpool.hpp>
#include <green/event.hpp>
#include <uvlet/testing.hpp>

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using green::Collision;
using Error = green::PropagateError<char>;
using Pool = green::DAGPool<char, std::string>;
using Results = Pool::Results;
using Keys = std::vector<char>;
using Values = std::map<char, std::string>;
using Names = std::set<char>;

Keys letters(const std::string& text) { return Keys(text.begin(), text.end()); }
Names names(const std::string& text) { return Names(text.begin(), text.end()); }
Names names(const Keys& keys) { return Names(keys.begin(), keys.end()); }

template <class Range>
auto as_map(Range&& range) {
  using Pair = typename std::remove_cvref_t<Range>::value_type;
  std::map<typename Pair::first_type, typename Pair::second_type> all;
  for (auto&& pair : range) all.insert(pair);
  return all;
}

// Whether anybody else ran since it was made: eventlet's suspend_checker.
class Switches {
 public:
  Switches() : other_(green::spawn([this] { counted(); })) {}
  ~Switches() { other_.kill(); }
  int count() const { return count_; }

 private:
  void counted() {
    for (;; ++count_) green::sleep(0);
  }
  int count_ = 0;
  green::GreenThread<void> other_;
};

// Sets of what happened between one step and the next, as the order within is free: eventlet's
// Capture.
struct Capture {
  using Step = std::set<std::string>;
  void add(std::string message) { steps.back().insert(std::move(message)); }
  void step() { steps.emplace_back(); }
  std::vector<Step> steps = std::vector<Step>(1);
};

const Values abc{{'a', "1"}, {'b', "2"}, {'c', "3"}};

// The canonical green thread of a DAGPool.
std::string observe(char key, Results results, Capture& capture, green::Event<std::string>& event) {
  for (const auto& [k, v] : results) capture.add(std::string(1, key) + " got " + k);
  std::string result = event.wait();
  capture.add(std::string(1, key) + " returning " + result);
  return result;
}

std::string nothing(char, Results) { return "done"; }

struct BogusError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
std::string raiser(char, Results, const std::string& text) { throw BogusError(text); }
std::string consumer(char, Results results) {
  for (const auto& pair : results) (void)pair;
  return "consumed";
}

void spin() {
  for (int i = 0; i < 10; ++i) green::sleep(0);
}

void post_each(Pool& pool, Capture& capture) {
  green::sleep(0);
  capture.step();
  pool.post('g', "gval");
  pool.post('f', "fval");
  green::sleep(0);
  capture.step();
  pool.post('e', "eval");
  pool.post('d', "dval");
}

}  // namespace

// test_check_no_suspend
TEST_CASE("the check for switches sees one") {
  Switches switches;
  green::sleep(0);
  const int before = switches.count();
  green::sleep(0);
  CHECK(switches.count() > before);
}

// test_init
TEST_CASE("what a pool was preloaded with is there without waiting") {
  CHECK(Pool().waitall().empty());
  Pool pool(abc);
  Switches switches;
  CHECK(pool.waitall() == abc);
  CHECK(switches.count() == 0);
}

// test_wait_each_empty
TEST_CASE("the values of no keys are none") {
  Pool pool;
  Switches switches;
  for (const auto& pair : pool.wait_each(Keys())) FAIL("not reached: " << pair.first);
  CHECK(pool.wait(Keys()).empty());
  CHECK(switches.count() == 0);
}

// test_wait_each_preload
TEST_CASE("preloaded keys are waited for without waiting") {
  Pool pool(abc);
  Switches switches;
  CHECK(as_map(pool.wait_each(letters("abc"))) == abc);
  CHECK(pool.wait(letters("bc")) == Values{{'b', "2"}, {'c', "3"}});
  CHECK(switches.count() == 0);
}

// test_wait_each_posted
TEST_CASE("values come as they are posted") {
  Capture capture;
  Pool pool(abc);
  green::spawn(post_each, std::ref(pool), std::ref(capture));
  for (const auto& [k, v] : pool.wait_each(letters("bcdefg")))
    capture.add(std::string("got ") + k + " " + v);
  CHECK(capture.steps == std::vector<Capture::Step>{{"got b 2", "got c 3"},
                                                    {"got f fval", "got g gval"},
                                                    {"got d dval", "got e eval"}});
}

// test_wait_posted
TEST_CASE("wait gives all values at once when the last has come") {
  Capture capture;
  Pool pool(abc);
  green::spawn(post_each, std::ref(pool), std::ref(capture));
  const Values got = pool.wait(letters("bcdefg"));
  capture.add("got all");
  CHECK(got ==
        Values{{'b', "2"}, {'c', "3"}, {'d', "dval"}, {'e', "eval"}, {'f', "fval"}, {'g', "gval"}});
  CHECK(capture.steps == std::vector<Capture::Step>{{}, {}, {"got all"}});
}

// test_spawn_collision_preload, test_spawn_collision_post, test_spawn_collision_spawn
TEST_CASE("a key is spawned once: not if it was preloaded, posted or spawned before") {
  Pool preloaded(Values{{'a', "1"}});
  CHECK_THROWS_AS(preloaded.spawn('a', {}, nothing), Collision);
  Pool posted;
  posted.post('a', "aval");
  CHECK_THROWS_WITH_AS(posted.spawn('a', {}, nothing), "DAGPool: a", Collision);
  Pool pool;
  pool.spawn('a', {}, [](char, Results) { return "aval"; });
  CHECK(!pool.get('a'));
  CHECK_THROWS_AS(pool.spawn('a', {}, nothing), Collision);  // it has not even started
  green::sleep(0);
  CHECK(pool.get('a') == "aval");
  CHECK_THROWS_AS(pool.spawn('a', {}, nothing), Collision);  // nor when it has ended
}

// test_spawn_multiple
TEST_CASE("each green thread goes on as what it depends on comes") {
  Capture capture;
  Pool pool(abc);
  std::map<char, green::Event<std::string>> events;
  for (const char k : letters("defg"))
    pool.spawn(k, {}, observe, std::ref(capture), std::ref(events[k]));
  events['h'].send("hval");
  pool.spawn('h', letters("bcdefg"), observe, std::ref(capture), std::ref(events['h']));
  spin();
  capture.step();
  for (const char k : letters("defgh")) CHECK(!pool.get(k));
  CHECK(names(pool.keys()) == names("abc"));
  CHECK(pool.items().size() == 3);
  CHECK(pool.running() == 5);
  CHECK(names(pool.running_keys()) == names("defgh"));
  CHECK(pool.waiting() == 1);
  CHECK(pool.waiting_for() == std::map<char, Names>{{'h', names("defg")}});
  CHECK(pool.waiting_for('d').empty());
  CHECK(pool.waiting_for('c').empty());
  CHECK_THROWS_AS(pool.waiting_for('j'), std::out_of_range);
  CHECK(pool.waiting_for('h') == names("defg"));

  events['f'].send("fval");
  spin();
  capture.step();
  CHECK(pool.get('f') == "fval");
  CHECK(names(pool.keys()) == names("abcf"));
  CHECK(pool.running() == 4);
  CHECK(names(pool.running_keys()) == names("degh"));
  CHECK(pool.waiting_for('h') == names("deg"));

  events['e'].send("eval");
  events['g'].send("gval");
  spin();
  capture.step();
  CHECK(names(pool.keys()) == names("abcefg"));
  CHECK(pool.running() == 2);
  CHECK(pool.waiting() == 1);
  CHECK(pool.waiting_for('h') == names("d"));

  events['d'].send("dval");
  spin();
  capture.step();
  CHECK(pool.get('h') == "hval");
  CHECK(names(pool.keys()) == names("abcdefgh"));
  CHECK(pool.running() == 0);
  CHECK(pool.running_keys().empty());
  CHECK(pool.waiting() == 0);
  CHECK(pool.waiting_for('h').empty());
  CHECK(capture.steps ==
        std::vector<Capture::Step>{{"h got b", "h got c"},
                                   {"f returning fval", "h got f"},
                                   {"e returning eval", "g returning gval", "h got e", "h got g"},
                                   {"d returning dval", "h got d", "h returning hval"},
                                   {}});
}

// test_spawn_many
TEST_CASE("a graph of green threads runs in the order of its edges, and posts may come early") {
  //  a <- b, c;  b, c <- d;  c, d <- e
  const std::map<char, Keys> graph{{'e', letters("cd")},
                                   {'d', letters("bc")},
                                   {'c', letters("a")},
                                   {'b', letters("a")},
                                   {'a', {}}};
  test::Log log;
  Pool pool;
  green::spawn([&] {
    pool.waitall();
    log("all");
  });
  pool.spawn_many(graph, [&](char key, Results results) {
    for (const auto& pair : results) (void)pair;
    log(std::string(1, key));
    pool.post(key, std::string(1, key));
    spin();
    return std::string("in vain");
  });
  for (int i = 0; i < 5; ++i) spin();
  CHECK(pool.get('e') == "e");
  CHECK((log.text() == "a b c d e all" || log.text() == "a c b d e all"));
  CHECK(pool.running() == 0);
  CHECK_THROWS_AS(pool.spawn_many({{'x', {}}, {'a', {}}}, nothing), Collision);
}

// test_wait_each_all
TEST_CASE("wait_each gives each value as soon as it is there") {
  Capture capture;
  Pool pool(Values{{'a', "a"}});
  std::map<char, green::Event<std::string>> events;
  const std::string keys = "abcde";
  for (std::size_t i = 1; i < keys.size(); ++i)
    pool.spawn(keys[i], {keys[i - 1]}, observe, std::ref(capture), std::ref(events[keys[i]]));
  Results each = pool.wait_each();
  for (std::size_t at = 0; at < keys.size(); ++at) {
    CHECK(each.next()->first == keys[at]);
    spin();
    for (std::size_t i = 0; i < keys.size(); ++i) CHECK(pool.get(keys[i]).has_value() == (i <= at));
    if (at + 1 < keys.size()) events[keys[at + 1]].send(std::string(1, keys[at + 1]));
  }
  CHECK(!each.next());
}

// test_kill
TEST_CASE("a killed key is forgotten, and can be spawned again") {
  Pool pool;
  CHECK_THROWS_AS(pool.kill('a'), std::out_of_range);
  pool.spawn('a', {}, [](char, Results) { return "1"; });
  pool.kill('a');
  spin();
  CHECK(!pool.get('a'));
  CHECK_THROWS_AS(pool.kill('a'), std::out_of_range);
  pool.spawn('a', {}, [](char, Results) { return "2"; });
  spin();
  CHECK_THROWS_AS(pool.kill('a'), std::out_of_range);
  CHECK(pool.get('a') == "2");
}

// test_post_collision_preload, test_post_collision_post, test_post_collision_spawn
TEST_CASE("a key with a value, or whose green thread runs, cannot be posted") {
  Pool preloaded(Values{{'a', "1"}});
  CHECK_THROWS_AS(preloaded.post('a', "2"), Collision);
  Pool posted;
  posted.post('a', "1");
  CHECK_THROWS_AS(posted.post('a', "2"), Collision);
  Pool pool;
  pool.spawn('a', {}, nothing);
  CHECK_THROWS_AS(pool.post('a', "2"), Collision);
  CHECK_THROWS_AS(pool.post('a', "2", true), Collision);
  pool.kill('a');
  pool.post('a', "3");
  CHECK(pool.get('a') == "3");
  Pool ended;
  ended.spawn('a', {}, nothing);
  spin();
  CHECK_THROWS_AS(ended.post('a', "5"), Collision);
  CHECK_THROWS_AS(ended.kill('a'), std::out_of_range);
  CHECK_THROWS_AS(ended.post('a', "6"), Collision);
}

// test_post_replace
TEST_CASE("a value can be replaced on request") {
  Pool pool;
  pool.post('a', "1");
  pool.post('a', "2", true);
  CHECK(pool.get('a') == "2");
  CHECK(as_map(pool.wait_each(letters("a"))) == Values{{'a', "2"}});
  CHECK(pool.wait(letters("a")) == Values{{'a', "2"}});
  CHECK(pool['a'] == "2");
  pool.post('b', "new", true);
  CHECK(pool['b'] == "new");
}

// test_getitem
TEST_CASE("indexing waits for the value, whoever will give it") {
  test::Log log;
  Pool pool;
  green::spawn([&] { log("got " + pool['a']); });
  green::sleep(0);
  pool.spawn('a', {}, [](char, Results) { return "1"; });
  CHECK(log.entries().empty());
  spin();
  CHECK(log.text() == "got 1");
}

// test_waitall_exc
TEST_CASE("an exception is a PropagateError with the key and the exception itself") {
  Pool pool;
  pool.spawn('a', {}, raiser, "bogus");
  try {
    pool.waitall();
    FAIL("not reached");
  } catch (const Error& error) {
    CHECK(error.key() == 'a');
    CHECK_THROWS_WITH_AS(std::rethrow_exception(error.exc()), "bogus", BogusError);
    const std::string text = error.what();
    CHECK(text.find("PropagateError(a)") != std::string::npos);
    CHECK(text.find("BogusError") != std::string::npos);
    CHECK(text.find("bogus") != std::string::npos);
  }
}

// test_propagate_exc
TEST_CASE("an exception goes down the chain, and its text names each key") {
  Pool pool;
  pool.spawn('a', {}, raiser, "bogus");
  pool.spawn('b', letters("a"), consumer);
  pool.spawn('c', letters("b"), consumer);
  auto inner = [](const Error& error) {
    try {
      std::rethrow_exception(error.exc());
    } catch (const Error& cause) {
      return cause;
    }
  };
  try {
    (void)pool['c'];
    FAIL("not reached");
  } catch (const Error& c) {
    CHECK(c.key() == 'c');
    const Error b = inner(c);
    CHECK(b.key() == 'b');
    const Error a = inner(b);
    CHECK(a.key() == 'a');
    CHECK_THROWS_AS(std::rethrow_exception(a.exc()), BogusError);
    const std::string text = c.what();
    for (const char* part :
         {"PropagateError(a)", "PropagateError(b)", "PropagateError(c)", "BogusError", "bogus"})
      CHECK(text.find(part) != std::string::npos);
  }
}

// test_wait_each_exc
TEST_CASE("wait_each throws in the place of a value") {
  Pool pool;
  pool.spawn('a', {}, raiser, "bogus");
  CHECK_THROWS_AS(as_map(pool.wait_each(letters("a"))), Error);
  CHECK_THROWS_AS(as_map(pool.wait_each()), Error);
}

// test_post_get_exc
TEST_CASE("a posted exception is a value, a posted PropagateError is thrown") {
  using Exceptions = green::DAGPool<char, std::exception_ptr>;
  Exceptions pool;
  const auto bogua = std::make_exception_ptr(BogusError("bogua"));
  pool.post('a', bogua);
  CHECK(*pool.get('a') == bogua);
  pool.post('b', Error('b', std::make_exception_ptr(BogusError("bogub"))));
  CHECK_THROWS_AS(pool.get('b'), Error);
  CHECK_THROWS_AS(pool.get('b', bogua), Error);
  CHECK_THROWS_AS(pool.items(), Error);
  CHECK_THROWS_AS(pool.waitall(), Error);
  CHECK_THROWS_AS(pool.wait(), Error);
  CHECK_THROWS_AS(pool.wait(letters("b")), Error);
  CHECK_THROWS_AS(pool.wait(letters("ab")), Error);
  CHECK(pool.wait(letters("a")).at('a') == bogua);
  CHECK_THROWS_AS(as_map(pool.wait_each()), Error);

  const std::map<char, std::exception_ptr> good{{'a', bogua}};
  CHECK(as_map(pool.wait_each_success()) == good);
  CHECK(as_map(pool.wait_each_success(letters("ab"))) == good);
  CHECK(as_map(pool.wait_each_success(letters("a"))) == good);
  CHECK(as_map(pool.wait_each_success(letters("b"))).empty());
  CHECK(as_map(pool.wait_each_exception()).at('b').key() == 'b');
  CHECK(as_map(pool.wait_each_exception()).size() == 1);
  CHECK(as_map(pool.wait_each_exception(letters("ab"))).size() == 1);
  CHECK(as_map(pool.wait_each_exception(letters("a"))).empty());
  CHECK(as_map(pool.wait_each_exception(letters("b"))).size() == 1);
  static_assert(std::is_same_v<decltype(pool.wait_each_success()), Exceptions::Results>);
}

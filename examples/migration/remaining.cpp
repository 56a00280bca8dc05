// The end of a migration: workers that take jobs from a queue. Their loop becomes a coroutine while
// the handler still blocks, then the handler follows, and nothing of green is left.

#include "lines.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace {

constexpr int workers = 3;
green::Address server;
using Results = std::vector<std::string>;

namespace before {
// [before]
std::string handle(const std::string& job) { return lines::ask(server, job); }

void work(green::Queue<std::string>& jobs, Results& results) {
  for (std::string job = jobs.get(); !job.empty(); job = jobs.get())
    results.push_back(green::with_timeout_or(60, std::string("late"), handle, job));
}
void work_all(green::Queue<std::string>& jobs, Results& results) {
  green::GreenPool pool(workers);
  for (int i = 0; i < workers; ++i) pool.spawn_n(work, std::ref(jobs), std::ref(results));
  pool.waitall();
}
// [/before]
}  // namespace before

namespace halfway {
using before::handle;
// [halfway]
aio::task<> work_async(green::Queue<std::string>& jobs, Results& results) {
  for (;;) {
    const std::string job = co_await jobs.get_async();
    if (job.empty()) co_return;
    results.push_back(co_await aio::wait_for(aio::async_def(handle, job), 60));  // it blocks still
  }
}
// [/halfway]
void work_all(green::Queue<std::string>& jobs, Results& results) {
  std::vector<aio::task<>> all;
  for (int i = 0; i < workers; ++i) all.push_back(work_async(jobs, results));
  green::awaitlet(aio::gather(std::move(all)));
}
}  // namespace halfway

namespace after {
// [after]
aio::task<> work_async(aio::Queue<std::string>& jobs, Results& results) {
  for (;;) {
    const std::string job = co_await jobs.get();
    if (job.empty()) co_return;
    results.push_back(co_await aio::wait_for(lines::ask_async(server, job), 60));
  }
}
aio::task<> work_all(aio::Queue<std::string>& jobs, Results& results) {
  aio::TaskGroup group;
  for (int i = 0; i < workers; ++i) group.create_task(work_async(jobs, results));
  co_await group.join();
}
// [/after]
}  // namespace after

// [strict]
std::string cached(const std::string& job) { return "<" + job + ">"; }  // once asked the server

aio::task<bool> still_waits() {
  try {
    co_await aio::async_def_strict(cached, std::string("a"));
  } catch (const green::NoAwaitOccurred&) {
    co_return false;  // then `cached(job)` will do, without a green thread of its own
  }
  co_return true;
}
// [/strict]

template <class Queue>
void fill(Queue& jobs) {
  for (const char* job : {"a", "b", "c", "d"}) jobs.put_nowait(job);
  for (int i = 0; i < workers; ++i) jobs.put_nowait("");
}

void require_all(Results results, const char* when) {
  std::sort(results.begin(), results.end());
  lines::require(results == Results{"<a>", "<b>", "<c>", "<d>"}, when);
}

std::size_t bridges() { return green::transitions().size(); }

}  // namespace

int main() {
  lines::Server lines_server([](const std::string& line) { return "<" + line + ">"; });
  server = lines_server.address();
  green::debug::transitions(true);
  {
    green::Queue<std::string> jobs;
    Results results;
    fill(jobs);
    before::work_all(jobs, results);
    require_all(results, "before");
    lines::require(bridges() == 0, "no bridge before");
    fill(jobs);
    results.clear();
    halfway::work_all(jobs, results);
    require_all(results, "halfway");
    lines::require(bridges() == 2, "halfway: one there, one back");
  }
  green::reset_transitions();
  aio::Queue<std::string> jobs;
  Results results;
  fill(jobs);
  aio::run(after::work_all(jobs, results));
  require_all(results, "after");
  lines::require(bridges() == 0, "no bridge after");
  lines::require(!aio::run(still_waits()), "what does not wait any more is found");
  std::printf("workers: green, halfway, and without a bridge\n");
}

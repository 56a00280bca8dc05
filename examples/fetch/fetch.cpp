#include "fetch.hpp"

#include <aio/aio.hpp>
#include <aio/http.hpp>
#include <green/green.hpp>
#include <green/http.hpp>

#include <chrono>
#include <functional>

namespace {

// Fills in how long it took and, in a catch block, what went wrong.
class Stopwatch {
 public:
  void stop(Reply& reply) const {
    const auto elapsed = std::chrono::steady_clock::now() - start_;
    reply.milliseconds = std::chrono::duration<double, std::milli>(elapsed).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void keep_error(Reply& reply) {
  try {
    throw;
  } catch (const green::TimeoutExpired& expired) {
    reply.error = std::string("timed out after ") + expired.what();
  } catch (const std::exception& error) {
    reply.error = error.what();
  }
}

// --- (a) ---------------------------------------------------------------------------------------

// What has come stays in the reply, whatever happens then.
void get(green::http::ClientSession& session, Reply& reply) {
  green::http::ClientResponse response = session.get(reply.url);
  reply.status = response.status();
  for (std::string data; !(data = response.read_chunk()).empty();) reply.body += data;
}

Reply fetch_blocking(green::http::ClientSession& session, const std::string& url, double timeout) {
  Reply reply;
  reply.url = url;
  const Stopwatch stopwatch;
  try {
    green::with_timeout(timeout, get, std::ref(session), std::ref(reply));
  } catch (const std::exception&) {
    keep_error(reply);
  } catch (const green::TimeoutExpired&) {
    keep_error(reply);
  }
  stopwatch.stop(reply);
  return reply;
}

// The callers: ordinary functions, the same for (a) and (b).
using Fetch = Reply (*)(green::http::ClientSession&, const std::string& url, double timeout);

std::vector<Reply> process_urls(const std::vector<std::string>& urls, double timeout, Fetch fetch) {
  green::http::ClientSession session;
  green::GreenPool pool;
  std::vector<Reply> replies;
  auto fetch_one = [&](const std::string& url) { return fetch(session, url, timeout); };
  for (auto&& reply : pool.imap(fetch_one, urls)) replies.push_back(std::move(reply));
  return replies;
}

// --- (b) and (c) -------------------------------------------------------------------------------

aio::task<void> get_async(aio::http::ClientSession& session, Reply& reply) {
  aio::http::ClientResponse response = co_await session.get(reply.url);
  reply.status = response.status();
  for (std::string data; !(data = co_await response.read_chunk()).empty();) reply.body += data;
}

aio::task<Reply> fetch_async(aio::http::ClientSession& session, std::string url, double timeout) {
  Reply reply;
  reply.url = url;
  const Stopwatch stopwatch;
  try {
    co_await aio::wait_for(get_async(session, reply), timeout);
  } catch (const aio::TimeoutError&) {
    reply.error = std::string("timed out after ") + green::TimeoutExpired(timeout).what();
  } catch (const std::exception&) {
    keep_error(reply);
  }
  stopwatch.stop(reply);
  co_return reply;
}

Reply fetch_bridged(green::http::ClientSession& session, const std::string& url, double timeout) {
  return green::awaitlet(fetch_async(session.async(), url, timeout));
}

aio::task<std::vector<Reply>> fetch_all_async(std::vector<std::string> urls, double timeout) {
  aio::http::ClientSession session;
  std::vector<aio::task<Reply>> fetches;
  for (const std::string& url : urls) fetches.push_back(fetch_async(session, url, timeout));
  co_return co_await aio::gather(std::move(fetches));
}

}  // namespace

std::vector<Reply> fetch_green(const std::vector<std::string>& urls, double timeout) {
  return process_urls(urls, timeout, fetch_blocking);
}

std::vector<Reply> fetch_awaitlet(const std::vector<std::string>& urls, double timeout) {
  return process_urls(urls, timeout, fetch_bridged);
}

std::vector<Reply> fetch_coroutines(const std::vector<std::string>& urls, double timeout) {
  return aio::run(fetch_all_async(urls, timeout));
}

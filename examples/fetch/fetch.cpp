#include "fetch.hpp"

#include "http.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <chrono>
#include <functional>
#include <system_error>

namespace {

constexpr std::size_t read_bytes = 64 * 1024;

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

void get(const std::string& text, http::Response& response) {
  const http::Url url = http::parse_url(text);
  green::Socket socket = green::connect(green::Address(url.host, url.port));
  socket.sendall(http::get_request(url));
  while (!response.complete()) {
    const std::string data = socket.recv(read_bytes);
    if (data.empty())
      response.end_of_stream();
    else
      response.feed(data);
  }
}

Reply fetch_blocking(const std::string& url, double timeout) {
  Reply reply;
  reply.url = url;
  const Stopwatch stopwatch;
  http::Response response;
  try {
    green::with_timeout(timeout, get, url, std::ref(response));
  } catch (const std::exception&) {
    keep_error(reply);
  } catch (const green::TimeoutExpired&) {
    keep_error(reply);
  }
  reply.status = response.status();
  reply.body = response.body();
  stopwatch.stop(reply);
  return reply;
}

// The callers: ordinary functions, the same for (a) and (b).
using Fetch = Reply (*)(const std::string& url, double timeout);

std::vector<Reply> process_urls(const std::vector<std::string>& urls, double timeout, Fetch fetch) {
  green::GreenPool pool;
  std::vector<Reply> replies;
  auto fetch_one = [=](const std::string& url) { return fetch(url, timeout); };
  for (auto&& reply : pool.imap(fetch_one, urls)) replies.push_back(std::move(reply));
  return replies;
}

// --- (b) and (c) -------------------------------------------------------------------------------

aio::task<void> get_async(std::string text, http::Response& response) {
  const http::Url url = http::parse_url(text);
  aio::Stream stream = co_await aio::open_connection(aio::Address(url.host, url.port));
  stream.write(http::get_request(url));
  co_await stream.drain();
  while (!response.complete()) {
    const std::string data = co_await stream.read(read_bytes);
    if (data.empty())
      response.end_of_stream();
    else
      response.feed(data);
  }
}

aio::task<Reply> fetch_async(std::string url, double timeout) {
  Reply reply;
  reply.url = url;
  const Stopwatch stopwatch;
  http::Response response;
  try {
    co_await aio::wait_for(get_async(url, response), timeout);
  } catch (const aio::TimeoutError&) {
    reply.error = std::string("timed out after ") + green::TimeoutExpired(timeout).what();
  } catch (const std::exception&) {
    keep_error(reply);
  }
  reply.status = response.status();
  reply.body = response.body();
  stopwatch.stop(reply);
  co_return reply;
}

Reply fetch_bridged(const std::string& url, double timeout) {
  return green::awaitlet(fetch_async(url, timeout));
}

aio::task<std::vector<Reply>> fetch_all_async(std::vector<std::string> urls, double timeout) {
  std::vector<aio::task<Reply>> fetches;
  for (const std::string& url : urls) fetches.push_back(fetch_async(url, timeout));
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

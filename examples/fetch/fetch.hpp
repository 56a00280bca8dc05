#pragma once

// The program of the migration guide: download URLs concurrently. Written three times.

#include <string>
#include <vector>

struct Reply {
  std::string url;
  int status = 0;  // 0: there was none
  std::string body;
  double milliseconds = 0;
  std::string error;  // why there is no whole body; "" if there is
};

// (a) Eventlet style: a blocking fetch, called concurrently by GreenPool::imap.
std::vector<Reply> fetch_green(const std::vector<std::string>& urls, double timeout);
// (b) The same callers, unchanged; only fetch itself now waits for a coroutine.
std::vector<Reply> fetch_awaitlet(const std::vector<std::string>& urls, double timeout);
// (c) Coroutines all the way up, and aio::gather.
std::vector<Reply> fetch_coroutines(const std::vector<std::string>& urls, double timeout);

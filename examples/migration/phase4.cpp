// The fourth phase of the application of phases.cpp: its endpoint is a coroutine, and nothing below
// it blocks. The program asks it and then stops it as an operator does.

#include "analytics.hpp"

#include <aio/web.hpp>
#include <green/http.hpp>

#include <csignal>
#include <cstdio>

namespace {

namespace web = aio::web;

// [handler]
aio::task<web::Response> handle_data_request(web::Request& request) {
  const std::string id = request.match_info().at("id");
  auto& service = request.app().get<AnalyticsService>("analytics_service");
  const std::string result = co_await service.process_data_async(id);
  co_return web::json_response(result);
}
// [/handler]

// [app]
web::Application make_app(aio::Address database, aio::Address cache) {
  web::Application app;
  app.router().add_get("/data/{id}", handle_data_request);
  app.on_startup([database, cache](web::Application& starting) {
    starting.set("db_client", new_clients::DbClient(database));
    starting.set("cache_service", new_clients::CacheService(cache));
    starting.set("analytics_service",
                 AnalyticsService(starting.get<new_clients::DbClient>("db_client"),
                                  starting.get<new_clients::CacheService>("cache_service")));
  });
  return app;
}
// [/app]

// A port that is free now.
green::Address free_address() {
  return green::listen(green::Address("127.0.0.1", 0)).getsockname();
}

std::string get(const green::Address& server, const std::string& path) {
  for (;;) {
    try {
      return green::http::urlopen("http://" + server.str() + path).text();
    } catch (const aio::http::ClientConnectorError&) {  // it does not listen yet
      green::sleep(0.01);
    }
  }
}

}  // namespace

int main() {
  green::debug::transitions(true);
  Backends backends;
  const green::Address address = free_address();
  auto client = green::spawn([&] {
    check(
        backends, [&](const auto& id) { return get(address, "/data/" + id); }, "4", "\"row 4\"");
    std::raise(SIGTERM);
  });
  // [run]
  web::run_app(make_app(backends.database.address(), backends.cache.address()), address);
  // [/run]
  client.wait();
  lines::require(green::transitions().empty(), "no bridge is left");
  std::printf("the fourth phase: the same answers, over HTTP, and no bridge\n");
}

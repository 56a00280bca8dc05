// usage: web [FOLDER [PORT]]: serves the chat until SIGINT or SIGTERM.

#include "app.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>

int main(int count, char** arguments) {
  try {
    const std::string folder = count > 1 ? arguments[1] : "examples/web/static";
    const int port = count > 2 ? std::atoi(arguments[2]) : 8080;
    aio::web::run_app(make_app(folder),
                      aio::web::Address("127.0.0.1", static_cast<std::uint16_t>(port)));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

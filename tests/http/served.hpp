#pragma once

// What tests of web servers share.

#include "../green/sockets.hpp"

#include <aio/web.hpp>
#include <green/awaitlet.hpp>

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace test {

// An application that is served while this lives.
class Served {
 public:
  explicit Served(aio::web::Application app,
                  aio::web::ServerOptions options = aio::web::ServerOptions())
      : runner_(std::move(app), std::move(options)) {
    green::awaitlet(runner_.start(green::Address("127.0.0.1", 0)));
  }
  ~Served() {
    const green::Shield shield;
    green::awaitlet(runner_.stop());
  }

  green::Address address() const { return runner_.address(); }
  aio::web::Runner& runner() { return runner_; }

  green::Socket connect() const {
    green::Socket socket = green::connect(address());
    socket.settimeout(watchdog);
    return socket;
  }
  // All that the server says to these bytes until it closes.
  std::string talk(std::string_view bytes) const {
    green::Socket socket = connect();
    socket.sendall(bytes);
    socket.shutdown(SHUT_WR);
    return receive_all(socket);
  }
  // The status and the body of a GET.
  std::string get(const std::string& target, const std::string& headers = {},
                  const std::string& method = "GET") const {
    return brief(talk(method + " " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" +
                      headers + "\r\n"));
  }
  std::string post(const std::string& target, const std::string& body) const {
    return brief(talk("POST " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" +
                      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
  }

  // "200 body"
  static std::string brief(const std::string& response) {
    const std::size_t head = response.find("\r\n\r\n");
    if (head == std::string::npos) return "no response: " + response;
    return response.substr(9, 3) + " " + response.substr(head + 4);
  }

 private:
  aio::web::Runner runner_;
};

// The value of a header; "" if there is none.
inline std::string header(const std::string& response, const std::string& name) {
  const std::size_t at = response.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 4;
  return response.substr(begin, response.find("\r\n", begin) - begin);
}

// Whether the peer has closed it.
inline bool closed(green::Socket& socket) {
  try {
    return socket.recv(1).empty();
  } catch (const std::system_error& error) {
    return error.code().value() == ECONNRESET;
  }
}

inline int count(const std::string& text, const std::string& what) {
  int found = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size())
    ++found;
  return found;
}

inline const std::string get_root = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace test

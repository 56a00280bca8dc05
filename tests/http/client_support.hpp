#pragma once

// What tests of the HTTP client share: servers that say what a test wants them to.

#include "served.hpp"

#include <aio/aio.hpp>
#include <aio/http.hpp>
#include <green/green.hpp>
#include <green/http.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace test {

// Until it holds; a test that waits in vain is stopped by its watchdog.
template <class F>
void until(F holds) {
  green::with_timeout(watchdog, [&] {
    while (!holds()) green::sleep(0.001);
  });
}

// A request as it came, head and body; "": the client has closed the connection.
inline std::string receive_request(green::Socket& socket) {
  std::string request;
  std::size_t head = std::string::npos;
  while ((head = request.find("\r\n\r\n")) == std::string::npos) {
    const std::string data = socket.recv(65536);
    if (data.empty()) return request;
    request += data;
  }
  const std::string length = header(request, "Content-Length");
  const std::size_t bytes = head + 4 + (length.empty() ? 0 : std::stoul(length));
  const bool chunked = !header(request, "Transfer-Encoding").empty();
  while (request.size() < bytes || (chunked && !request.ends_with("0\r\n\r\n"))) {
    const std::string data = socket.recv(65536);
    if (data.empty()) break;
    request += data;
  }
  return request;
}

inline std::string reply(const std::string& body, const std::string& headers = "",
                         const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + body;
}

// A server of bytes: each connection goes to `handle`, with its number, from 1. Destroying it ends
// them all.
class Scripted {
 public:
  using Handle = std::function<void(green::Socket&, int)>;
  explicit Scripted(Handle handle,
                    green::Socket listener = green::listen(green::Address("127.0.0.1", 0)))
      : handle_(std::move(handle)), listener_(std::move(listener)), serving_(green::spawn([this] {
          for (;;)
            handlers_.push_back(green::spawn([this](green::Socket socket) { serve(socket); },
                                             listener_.accept().first));
        })) {}
  ~Scripted() {
    const green::Shield shield;
    serving_.kill();
    for (const green::GreenThread<void>& handler : handlers_) handler.kill();
    until([this] { return open == 0; });
  }
  Scripted(const Scripted&) = delete;

  std::uint16_t port() const { return listener_.getsockname().port(); }
  std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port()) + path;
  }

  int connections = 0;  // so far
  int open = 0;

 private:
  void serve(green::Socket& socket) {
    const int number = ++connections;
    const Counted counted(open);
    try {
      handle_(socket, number);
    } catch (const std::system_error&) {  // the client has gone
    }
    socket.close();
  }

  Handle handle_;
  green::Socket listener_;
  std::vector<green::GreenThread<void>> handlers_;
  green::GreenThread<void> serving_;
};

// One that answers each request of a connection with the same, and notes what came.
class Answering : public Scripted {
 public:
  explicit Answering(std::string bytes, std::vector<std::string>* requests = nullptr)
      : Scripted([bytes = std::move(bytes), requests](green::Socket& socket, int) {
          for (std::string request; !(request = receive_request(socket)).empty();) {
            if (requests) requests->push_back(request);
            socket.sendall(bytes);
          }
        }) {}
};

// One that does so once `go` is sent.
class Gated : public Scripted {
 public:
  Gated(std::string bytes, green::Event<>& go)
      : Scripted([bytes = std::move(bytes), &go](green::Socket& socket, int) {
          while (!receive_request(socket).empty()) {
            go.wait();
            socket.sendall(bytes);
          }
        }) {}
};

inline std::string url_of(const Served& served, const std::string& path = "/") {
  return "http://" + served.address().str() + path;
}

// What an exception of this type says; "" if none is thrown.
template <class E, class F>
std::string message_of(F call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace test

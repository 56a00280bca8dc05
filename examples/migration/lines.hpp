#pragma once

// What the programs of this folder talk to, and how: a server that answers lines, and a question to
// it in the old style and in the new one.

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace lines {

inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// The next line without its end; nullopt at the end of the stream.
inline std::optional<std::string> readline(green::Socket& socket, std::string& unread) {
  for (;;) {
    if (const auto end = unread.find('\n'); end != std::string::npos) {
      std::string line = unread.substr(0, end);
      unread.erase(0, end + 1);
      return line;
    }
    const std::string data = socket.recv(4096);
    if (data.empty()) return std::nullopt;
    unread += data;
  }
}

// Answers each line with answer(line), on a port of 127.0.0.1, each connection in a green thread of
// its own. Destroying it ends the listening; a connection ends with its client.
class Server {
 public:
  using Answer = std::function<std::string(const std::string&)>;

  explicit Server(Answer answer) : listener_(green::listen(green::Address("127.0.0.1", 0))) {
    const auto shared = std::make_shared<Answer>(std::move(answer));
    server_ = green::spawn([this, shared] {
      green::serve(listener_, [shared](green::Socket peer, const green::Address&) {
        serve_one(peer, *shared);
      });
    });
  }
  ~Server() {
    const green::Shield shield;
    server_.kill();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  green::Address address() const { return listener_.getsockname(); }

 private:
  static void serve_one(green::Socket& peer, const Answer& answer) try {
    std::string unread;
    while (const auto line = readline(peer, unread)) peer.sendall(answer(*line) + "\n");
  } catch (const std::system_error&) {  // a client that goes away is no error of ours
  }

  green::Socket listener_;
  green::GreenThread<void> server_;
};

// [ask]
// The old style: calls that simply block.
inline std::string ask(const green::Address& server, const std::string& line) {
  green::Socket socket = green::connect(server);
  socket.sendall(line + "\n");
  std::string unread;
  const std::optional<std::string> answer = readline(socket, unread);
  if (!answer) throw std::runtime_error("the server hung up");
  return *answer;
}

// The new style: a coroutine.
inline aio::task<std::string> ask_async(aio::Address server, std::string line) {
  aio::Stream stream = co_await aio::open_connection(server);
  stream.write(line + "\n");
  std::string answer = co_await stream.readline();
  if (!answer.ends_with('\n')) throw std::runtime_error("the server hung up");
  answer.pop_back();
  co_return answer;
}
// [/ask]

}  // namespace lines

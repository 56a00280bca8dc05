#pragma once

// The programs of others at the other end of TLS: openssl, curl, Python.

#include "ssl_support.hpp"
#include "support.hpp"

#include <aio/subprocess.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <system_error>

namespace test {

inline bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

inline std::string noise(std::size_t bytes) {
  std::string data(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<char>('a' + i * i % 23);
  return data;
}

// A command of the shell, with pipes to its input and from its output and errors.
inline aio::Process start(const std::string& command) {
  aio::ProcessOptions options;
  options.in = options.out = aio::PIPE;
  options.err = aio::STDOUT;
  return green::awaitlet(aio::create_subprocess_shell("exec " + command, options));
}

// What a command prints that gets this as its input.
inline std::string run(const std::string& command, const std::string& input = "") {
  return green::awaitlet(start(command).communicate(input)).first;
}

// The next line that holds this; "": there is none.
inline std::string line_with(aio::Process& process, const std::string& text) {
  for (;;) {
    const std::string line = green::awaitlet(process.out().readline());
    if (line.empty() || holds(line, text)) return line;
  }
}

// It may have ended by itself.
inline void stop(aio::Process& process) {
  try {
    process.kill();
  } catch (const std::system_error& error) {
    CHECK(error.code().value() == ESRCH);
  }
  green::awaitlet(process.wait());
}

// A server of ours that gives each connection to `handle`.
class TlsServer {
 public:
  explicit TlsServer(std::function<void(green::Socket&)> handle,
                     aio::SslOptions options = server_options())
      : listener_(
            green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), std::move(options))),
        serving_(green::spawn([this, handle] {
          green::serve(listener_, [&](green::Socket connection, green::Address) {
            try {
              handle(connection);
            } catch (const std::system_error& error) {
              failures += error.what() + std::string("\n");
            }
          });
        })) {}
  ~TlsServer() { serving_.kill(); }

  std::string port() const { return std::to_string(listener_.getsockname().port()); }
  std::string address() const { return "127.0.0.1:" + port(); }
  std::string url() const { return "https://localhost:" + port() + "/"; }
  std::string failures;

 private:
  green::Socket listener_;
  green::GreenThread<void> serving_;
};

inline void echo(green::Socket& connection) {
  for (std::string data; !(data = connection.recv(10'000)).empty();) connection.sendall(data);
  connection.shutdown(SHUT_WR);
}

// Reads one HTTP request, and begins its answer; false: there was none.
inline bool answer_head(green::Socket& connection, std::size_t body_bytes) {
  std::string request;
  while (!holds(request, "\r\n\r\n")) {
    const std::string part = connection.recv(1000);
    if (part.empty()) return false;
    request += part;
  }
  connection.sendall("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                     std::to_string(body_bytes) + "\r\n\r\n");
  return true;
}

// One HTTP request, answered with `body`.
inline std::function<void(green::Socket&)> answering(std::string body) {
  return [body](green::Socket& connection) {
    if (answer_head(connection, body.size())) connection.sendall(body);
  };
}

// A server of the command line that prints its port at the end of the line that holds `before`.
class PeerServer {
 public:
  PeerServer(const std::string& command, const std::string& before) : process_(start(command)) {
    const std::string line = line_with(process_, before);
    REQUIRE(!line.empty());
    port_ = static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
  }
  ~PeerServer() { stop(process_); }
  PeerServer(const PeerServer&) = delete;
  PeerServer& operator=(const PeerServer&) = delete;

  green::Address address() const { return {"127.0.0.1", port_}; }
  aio::Process& process() noexcept { return process_; }

 private:
  aio::Process process_;
  std::uint16_t port_ = 0;
};

inline std::string file_options(const std::string& name) {
  return " -cert " + certificates().certificate(name) + " -key " + certificates().key(name) + " ";
}

inline PeerServer s_server(const std::string& options) {
  return PeerServer("openssl s_server -accept 127.0.0.1:0" + file_options("server") + options,
                    "ACCEPT 127.0.0.1:");
}

inline std::string s_client(const TlsServer& server, const std::string& options) {
  return "openssl s_client -connect " + server.address() + " -CAfile " +
         certificates().certificate("ca") + " -verify_return_error -verify_hostname localhost " +
         options;
}

inline std::string curl(const TlsServer& server, const std::string& options = "") {
  return "curl -sS --noproxy \"*\" --cacert " + certificates().certificate("ca") + " " + options +
         " " + server.url();
}

// A script for Python, behind the names of the files, and of the port if there is one.
inline std::string python(const std::string& script, const std::string& port = "0") {
  return "python3 -u -c 'import socket, ssl, sys, threading\nca = \"" +
         certificates().certificate("ca") + "\"\ncert = \"" + certificates().certificate("server") +
         "\"\nkey = \"" + certificates().key("server") + "\"\nport = " + port + script + "'";
}

}  // namespace test

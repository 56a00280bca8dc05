// Other programs at the other end: socat, nc and python3.

#include "sockets.hpp"

#include <aio/subprocess.hpp>
#include <green/os.hpp>

#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <vector>

using green::Address;
using green::File;
using green::OwnedFd;
using green::Socket;

namespace {

// A program that runs until it ends, or this does.
class Peer {
 public:
  explicit Peer(std::vector<std::string> argv) {
    aio::ProcessOptions options;
    options.in = options.out = aio::PIPE;
    process_.emplace(green::awaitlet(aio::create_subprocess_exec(std::move(argv), options)));
  }
  ~Peer() {
    if (!process_->returncode()) process_->kill();
    green::awaitlet(process_->wait());
  }
  std::string line() { return green::awaitlet(process_->out().readline()); }
  std::string output() {
    std::string all;
    for (;;) {
      const std::string part = green::awaitlet(process_->out().read(65536));
      if (part.empty()) return all;
      all += part;
    }
  }
  void input(const std::string& text) { process_->in().write(text); }
  void end_input() { process_->in().write_eof(); }
  int wait() { return green::awaitlet(process_->wait()); }

 private:
  std::optional<aio::Process> process_;
};

// Connects as soon as the peer listens.
Socket connect_to(const Address& where) {
  for (;;) {
    Socket socket(where.family());
    if (socket.connect_ex(where) == 0) return socket;
    green::sleep(0.005);
  }
}

}  // namespace

TEST_CASE("nc connects over TCP: what it sends arrives, and it prints the answer") {
  if (!test::peer_installed("nc")) return;
  Socket listener = green::listen(test::anywhere());
  Peer nc({"nc", "-N", "127.0.0.1", std::to_string(listener.getsockname().port())});
  Socket connection = listener.accept().first;
  nc.input("one\ntwo\n");
  nc.end_input();
  File file = connection.makefile();
  CHECK(file.readline() == "one\n");
  CHECK(file.read() == "two\n");
  file.write("answer");
  file.close();
  connection.close();
  CHECK(nc.output() == "answer");
}

TEST_CASE("socat echoes over a unix stream and TCP over IPv6, a megabyte both ways at once") {
  if (!test::peer_installed("socat")) return;
  const test::Folder folder;
  const std::string data(1 << 20, 'e');
  Socket listener = green::listen(Address("::1", 0));
  const std::string port = std::to_string(listener.getsockname().port());
  Peer served({"socat", "-t", "30", "UNIX-LISTEN:" + (folder / "s"), "EXEC:cat"});
  Peer connected({"socat", "-t", "30", "TCP6:[::1]:" + port, "EXEC:cat"});
  Socket local = connect_to(Address::unix_path(folder / "s"));
  Socket internet = listener.accept().first;
  for (Socket* socket : {&local, &internet}) {
    auto sender = green::spawn([&] {
      socket->sendall(data);
      socket->shutdown(SHUT_WR);
    });
    CHECK((test::receive_all(*socket) == data));
    sender.wait();
  }
}

TEST_CASE("socat over datagrams: UDP, and a unix path") {
  if (!test::peer_installed("socat")) return;
  const test::Folder folder;
  Socket udp(AF_INET, SOCK_DGRAM);
  udp.bind(test::anywhere());
  {
    Peer socat({"socat", "-", "UDP4:127.0.0.1:" + std::to_string(udp.getsockname().port())});
    socat.input("datagram");
    auto [data, from] = udp.recvfrom(100);
    CHECK(data == "datagram");
    udp.sendto("reply\n", from);
    CHECK(socat.line() == "reply\n");
  }
  Socket local(AF_UNIX, SOCK_DGRAM);
  local.bind(Address::unix_path(folder / "ours"));
  Peer socat({"socat", "-", "UNIX-SENDTO:" + (folder / "ours") + ",bind=" + (folder / "theirs")});
  socat.input("to a path");
  auto [data, from] = local.recvfrom(100);
  CHECK(data == "to a path");
  CHECK(from == Address::unix_path(folder / "theirs"));
  local.sendto("from a path\n", from);
  CHECK(socat.line() == "from a path\n");
}

TEST_CASE("nc over UDP and over a unix socket") {
  if (!test::peer_installed("nc")) return;
  const test::Folder folder;
  Socket udp(AF_INET, SOCK_DGRAM);
  udp.bind(test::anywhere());
  {
    Peer nc({"nc", "-u", "127.0.0.1", std::to_string(udp.getsockname().port())});
    nc.input("hello\n");
    auto [data, from] = udp.recvfrom(100);
    CHECK(data == "hello\n");
    udp.sendto("bye\n", from);
    CHECK(nc.line() == "bye\n");
  }
  Peer nc({"nc", "-l", "-U", folder / "s"});
  Socket client = connect_to(Address::unix_path(folder / "s"));
  client.sendall("line\n");
  CHECK(nc.line() == "line\n");
  nc.input("back");
  CHECK(client.recv(10) == "back");
}

TEST_CASE("socat, nc and python over UDP and IPv6") {
  Socket udp(AF_INET6, SOCK_DGRAM);
  udp.bind(Address("::1", 0));
  const std::string port = std::to_string(udp.getsockname().port());
  const auto talk = [&](Peer& peer) {
    auto [data, from] = udp.recvfrom(100);
    CHECK(data == "question");
    CHECK(from.family() == AF_INET6);
    CHECK(from.host() == "::1");
    udp.sendto("answer\n", from);
    CHECK(peer.line() == "answer\n");
  };
  if (test::peer_installed("socat")) {
    Peer socat({"socat", "-", "UDP6:[::1]:" + port});
    socat.input("question");
    talk(socat);
  }
  if (test::peer_installed("nc")) {
    Peer nc({"nc", "-6", "-u", "::1", port});
    nc.input("question");
    talk(nc);
  }
  if (!test::peer_installed("python3")) return;
  // It waits at an address of its own, to which a connected socket sends first.
  Peer python({"python3", "-u", "-c", R"(
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::1", 0))
print(s.getsockname()[1])
data, address = s.recvfrom(100)
s.sendto(data[::-1], address)
print(address[0], len(address))
)"});
  const Address there("::1", static_cast<std::uint16_t>(std::stoi(python.line())));
  Socket connected(AF_INET6, SOCK_DGRAM);
  connected.connect(there);
  connected.send("question");
  CHECK(connected.recv(100) == "noitseuq");
  CHECK(python.line() == "::1 4\n");
}

TEST_CASE("nc, curl and python get a file from sendfile byte for byte") {
  const test::Folder folder;
  std::string data(3'000'000, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * i % 251);
  std::ofstream(folder / "file") << data;
  const OwnedFd file(::open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC));
  Socket listener = green::listen(test::anywhere());
  const std::string port = std::to_string(listener.getsockname().port());
  const auto serve = [&](const std::string& head) {
    Socket connection = listener.accept().first;
    connection.sendall(head);
    CHECK(connection.sendfile(file.get()) == data.size());
    connection.shutdown(SHUT_WR);
    connection.recv(1000);  // the request, if there is one
  };
  if (test::peer_installed("nc")) {
    Peer nc({"nc", "-N", "127.0.0.1", port});
    auto serving = green::spawn([&] { serve(""); });
    nc.end_input();
    CHECK((nc.output() == data));
    serving.wait();
  }
  if (test::peer_installed("curl")) {
    Peer curl({"curl", "-sS", "--noproxy", "*", "http://127.0.0.1:" + port + "/"});
    auto serving = green::spawn([&] {
      serve("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(data.size()) + "\r\n\r\n");
    });
    CHECK((curl.output() == data));
    serving.wait();
  }
  if (!test::peer_installed("python3")) return;
  Peer python({"python3", "-c", R"(
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
received = b""
while data := s.recv(65536): received += data
print(received == open(sys.argv[2], "rb").read(), len(received))
)",
               port, folder / "file"});
  serve("");
  CHECK(python.output() == "True 3000000\n");
}

TEST_CASE("descriptors pass to python and back") {
  if (!test::peer_installed("python3")) return;
  const std::string name = "uvlet-python-" + std::to_string(getpid());
  Socket listener = green::listen(Address::unix_path(std::string(1, '\0') + name));
  Peer python({"python3", "-c", R"(
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("\0" + sys.argv[1])
data, fds, flags, address = socket.recv_fds(s, 100, 5)
os.write(fds[0], b"written by python, who read " + data)
r, w = os.pipe()
os.write(w, b"a pipe of python's")
socket.send_fds(s, [b"back"], [r])
s.recv(1)
)",
               name});
  Socket connection = listener.accept().first;
  const auto [r, w] = green::os::pipe();
  const OwnedFd reader(r);
  {
    const OwnedFd writer(w);
    const std::vector<int> fds{writer.get()};
    connection.sendmsg("hello", fds);
  }
  CHECK(green::os::read(reader.get(), 100) == "written by python, who read hello");
  const green::Message message = connection.recvmsg(100, 5);
  CHECK(message.data == "back");
  REQUIRE(message.fds.size() == 1);
  CHECK(green::os::read(message.fds[0].get(), 100) == "a pipe of python's");
  connection.close();
  CHECK(python.wait() == 0);
  CHECK(green::os::read(reader.get(), 100) == "");  // nobody else has the writing end
}

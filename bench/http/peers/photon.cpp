// Photon's HTTP server, with its defaults, on one OS thread. bench/README.md tells how it is built.

#include <photon/common/alog.h>
#include <photon/net/http/server.h>
#include <photon/net/socket.h>
#include <photon/photon.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <sys/socket.h>

namespace http = photon::net::http;

namespace {

constexpr char greeting[] = "Hello, World!";

class Greeter : public http::HTTPHandler {
 public:
  int handle_request(http::Request&, http::Response& response, std::string_view) override {
    constexpr std::size_t size = sizeof greeting - 1;
    response.set_result(200);
    response.headers.insert("Content-Type", "text/plain; charset=utf-8");
    response.headers.content_length(size);
    return response.write(greeting, size) == static_cast<ssize_t>(size) ? 0 : -1;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  set_log_output_level(ALOG_FATAL);  // it logs every connection that ends
  if (photon::init(photon::INIT_EVENT_DEFAULT, photon::INIT_IO_NONE) != 0) return 1;
  const std::unique_ptr<photon::net::ISocketServer> listener(photon::net::new_tcp_socket_server());
  const std::unique_ptr<http::HTTPServer> server(http::new_http_server());
  server->add_handler(new Greeter, true);
  listener->set_handler(server->get_connection_handler());
  // The benchmark keeps the port reserved.
  if (listener->setsockopt<int>(SOL_SOCKET, SO_REUSEADDR, 1) != 0) return 1;
  if (listener->bind_v4localhost(static_cast<std::uint16_t>(std::atoi(argv[1]))) != 0) return 1;
  if (listener->listen(1024) != 0) return 1;
  return listener->start_loop(true);
}

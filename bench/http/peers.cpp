// Each replaces the process by the peer.

#include "servers.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace {

std::string peer(const char* file) { return std::string(PEERS "/") + file; }

const char* python() {
  const char* given = std::getenv("PYTHON");
  return given != nullptr ? given : "python3";
}

// A directory for the files of this process; it stays.
std::string own_directory() {
  const std::string path =
      std::filesystem::temp_directory_path() / ("uvlet-bench-" + std::to_string(getpid()));
  std::filesystem::create_directories(path);
  return path;
}

// The program's own words go nowhere: a peer that is not here is a row without figures.
template <class... Arguments>
void become(const char* program, const Arguments&... arguments) {
  if (std::freopen("/dev/null", "w", stderr) == nullptr) return;
  execlp(program, program, arguments.c_str()..., nullptr);
}

}  // namespace

void serve_nginx(std::uint16_t port) {
  const std::string directory = own_directory();
  const std::string file = directory + "/nginx.conf";
  std::ofstream(file) << "daemon off; master_process off; worker_processes 1;\n"
                         "error_log /dev/null crit; pid "
                      << directory
                      << "/nginx.pid;\n"
                         "events { worker_connections 1024; }\n"
                         "http {\n"
                         "  access_log off; keepalive_requests 1000000000;\n"
                         "  client_body_temp_path "
                      << directory
                      << "/body;\n"
                         "  proxy_temp_path "
                      << directory
                      << "/proxy;\n"
                         "  fastcgi_temp_path "
                      << directory
                      << "/fastcgi;\n"
                         "  uwsgi_temp_path "
                      << directory
                      << "/uwsgi;\n"
                         "  scgi_temp_path "
                      << directory
                      << "/scgi;\n"
                         "  default_type \"text/plain; charset=utf-8\";\n"
                         "  server { listen 127.0.0.1:"
                      << port
                      << " backlog=1024;\n"
                         "    location / { return 200 \""
                      << greeting
                      << "\"; } }\n"
                         "}\n";
  const char* path = std::getenv("PATH");
  setenv("PATH", ((path != nullptr ? path : "") + std::string(":/usr/sbin")).c_str(), 1);
  become("nginx", std::string("-c"), file);
}

void serve_photon(std::uint16_t port) {
  const char* program = std::getenv("PHOTON_HELLO");
  if (program != nullptr) become(program, std::to_string(port));
}

void serve_go(std::uint16_t port) {
  const std::string program = own_directory() + "/server";
  setenv("GOFLAGS", "-mod=mod", 1);
  if (std::getenv("HOME") == nullptr) setenv("HOME", "/tmp", 1);
  const std::string build = "go build -o " + program + " " + peer("go.go") + " 2>/dev/null";
  if (std::system(build.c_str()) != 0) return;
  become(program.c_str(), std::to_string(port));
}

void serve_node(std::uint16_t port) { become("node", peer("node.js"), std::to_string(port)); }

void serve_aiohttp(std::uint16_t port) {
  become(python(), peer("aiohttp_peer.py"), std::to_string(port));
}

void serve_eventlet(std::uint16_t port) {
  become(python(), peer("eventlet_peer.py"), std::to_string(port));
}

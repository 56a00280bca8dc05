#include "server.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

std::string head(const std::string& status, std::size_t bytes) {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(bytes) +
         "\r\nConnection: close\r\n\r\n";
}

// The path of the request line; "" if the peer closed before the end of the request's head.
std::string requested_path(green::Socket& connection) {
  std::string request;
  while (request.find("\r\n\r\n") == std::string::npos) {
    const std::string data = connection.recv(4096);
    if (data.empty()) return "";
    request += data;
  }
  std::string method, path;
  std::istringstream(request) >> method >> path;
  return path;
}

}  // namespace

FolderServer::FolderServer(std::string folder, double delay_seconds)
    : folder_(std::move(folder)),
      delay_seconds_(delay_seconds),
      listener_(green::listen(green::Address("127.0.0.1", 0), 1024)) {
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    if (entry.is_regular_file()) files_.push_back(entry.path().filename());
  std::ranges::sort(files_);
  server_ = green::spawn([this] {
    green::serve(listener_, [this](green::Socket connection, const green::Address&) {
      handle(std::move(connection));
    });
  });
}

FolderServer::~FolderServer() {
  const green::Shield shield;
  server_.kill();
}

std::string FolderServer::url(const std::string& path) const {
  return "http://" + listener_.getsockname().str() + path;
}

// A peer that goes away is no error of the server's.
void FolderServer::handle(green::Socket connection) const {
  try {
    const std::string path = requested_path(connection);
    green::sleep(delay_seconds_);
    if (!path.empty()) reply(connection, path);
  } catch (const std::system_error&) {
  }
}

void FolderServer::reply(green::Socket& connection, const std::string& path) const {
  if (path == "/slow") green::sleep(3600);
  if (path == "/truncated") {
    connection.sendall(head("200 OK", 1000) + "only this much");
    return;
  }
  const std::string name = path.substr(1);
  if (std::ranges::find(files_, name) == files_.end()) {
    connection.sendall(head("404 Not Found", 10) + "not found\n");
    return;
  }
  std::ifstream file(folder_ + "/" + name, std::ios::binary);
  const std::string body((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  connection.sendall(head("200 OK", body.size()) + body);
}

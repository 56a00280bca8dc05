#pragma once

#include <green/green.hpp>

#include <string>
#include <vector>

// A web server for one folder, in eventlet's style; each reply is delayed. /slow never answers and
// /truncated closes before the end of its body.
class FolderServer {
 public:
  FolderServer(std::string folder, double delay_seconds);
  ~FolderServer();

  std::string url(const std::string& path) const;
  const std::vector<std::string>& files() const noexcept { return files_; }

 private:
  void handle(green::Socket connection) const;
  void reply(green::Socket& connection, const std::string& path) const;

  std::string folder_;
  double delay_seconds_;
  std::vector<std::string> files_;
  green::Socket listener_;
  green::GreenThread<void> server_;
};

#pragma once

// The bytes of a connection, both ways, as operations that allocate nothing.

#include <uvlet/descriptor.hpp>
#include <uvlet/transfer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace aio::http::detail {

using uvlet::Duration;

class Connection;

// More bytes into the connection's input; false at the end of the stream. ETIMEDOUT past the limit.
class Fill final : public uvlet::Operation<Fill, uvlet::Receive> {
 public:
  Fill(Connection& connection, std::optional<Duration> limit) noexcept;
  Fill(Fill&&) = default;
  bool result();

 private:
  void received(const char* data, std::size_t bytes) override;

  Connection& connection_;
  bool open_ = false;
};

// All of the data, which must outlive the wait. ETIMEDOUT past the limit, which holds for all of
// it.
class SendAll final : public uvlet::Operation<SendAll, uvlet::Send> {
 public:
  SendAll(Connection& connection, std::string_view data, std::optional<Duration> limit) noexcept;
  SendAll(SendAll&&) = default;
  void result() { check("send"); }

 private:
  std::string_view left() const noexcept override { return left_; }
  void sent(std::size_t bytes) noexcept override { left_.remove_prefix(bytes); }

  std::string_view left_;
};

// Bytes of a file that stays the caller's. A file that is shorter is EIO.
class SendFile final : public uvlet::Operation<SendFile, uvlet::IoWait> {
 public:
  SendFile(Connection& connection, int file, std::uint64_t first, std::uint64_t bytes,
           std::optional<Duration> limit) noexcept;
  SendFile(SendFile&&) = default;
  void result() { check("sendfile"); }

 private:
  bool attempt() noexcept override;

  int file_;
  std::uint64_t next_;
  std::uint64_t left_;
};

class Connection {
 public:
  Connection(int fd, std::unique_ptr<uvlet::Transport> transport) : descriptor(fd, true) {
    descriptor.set_transport(std::move(transport));
  }

  Fill fill(std::optional<Duration> limit) noexcept { return {*this, limit}; }
  SendAll send(std::string_view data, std::optional<Duration> limit) noexcept {
    return {*this, data, limit};
  }

  // What has come and was not used.
  std::string_view unused() const noexcept { return std::string_view(input_).substr(used_); }
  // All but the last `left` bytes of it are used.
  void keep(std::size_t left) noexcept { used_ = input_.size() - left; }

  uvlet::Descriptor descriptor;

 private:
  friend class Fill;
  void append(const char* data, std::size_t bytes);

  std::string input_;
  std::size_t used_ = 0;  // of input
};

}  // namespace aio::http::detail

#pragma once

#include "context.hpp"

#include <uvlet/byte_buffer.hpp>
#include <uvlet/descriptor.hpp>

#include <string>
#include <string_view>

namespace aio::tls {

// One connection's TLS. All its calls are made by the hub's thread and never wait, so a reader and
// a writer take turns at the SSL object without a lock.
//
// What SSL writes goes to the system at once; what the system does not take is kept, at most a
// record of the writer's and a little of the reader's, and goes out in the background.
class TlsTransport final : public uvlet::Transport {
 public:
  TlsTransport(std::shared_ptr<Context> context, std::string host)
      : context_(std::move(context)), host_(std::move(host)) {}
  ~TlsTransport() override;

  // Bytes that were read from the descriptor before TLS began.
  void feed(std::string bytes);
  // 0 once both ends have said that TLS is over: the bytes go as they are then.
  int unwrap(uvlet::Descriptor& descriptor) noexcept;
  // After that.
  bool over() const noexcept { return state_ == State::over; }
  // What came behind the end of TLS, which nobody has read yet.
  std::string_view rest() const noexcept { return input_; }
  SslInfo info() const;

  int handshake(uvlet::Descriptor& descriptor) noexcept override;
  ssize_t recv(uvlet::Descriptor& descriptor, char* data, std::size_t bytes) noexcept override;
  ssize_t send(uvlet::Descriptor& descriptor, const char* data,
               std::size_t bytes) noexcept override;
  int flush(uvlet::Descriptor& descriptor) noexcept override;
  int shutdown(uvlet::Descriptor& descriptor, int how) noexcept override;
  void closing(uvlet::Descriptor& descriptor) noexcept override;
  bool wants(uvlet::Direction direction, bool reader, bool writer) const noexcept override;
  std::unique_ptr<uvlet::Transport> accepted() const override;
  void fail(int error, const char* call) const override;

 private:
  enum class State { idle, handshake, open, over };
  // What has become of the connection for good; 0: nothing.
  struct Failure {
    int error = 0;  // an errno; EPROTO: see `reason`
    std::error_code reason;
    bool in_handshake = false;
    bool truncated = false;
  };

  // The calls below give a count, 0, or minus an errno.
  bool begin(uvlet::Descriptor& descriptor) noexcept;
  int advance(uvlet::Descriptor& descriptor) noexcept;
  ssize_t read(uvlet::Descriptor& descriptor, char* data, std::size_t bytes) noexcept;
  ssize_t write(uvlet::Descriptor& descriptor, const char* data, std::size_t bytes) noexcept;
  int finish(uvlet::Descriptor& descriptor) noexcept;
  int push() noexcept;
  int outcome(int result) noexcept;
  ssize_t read_plain(uvlet::Descriptor& descriptor, char* data, std::size_t bytes) noexcept;
  ssize_t leave(uvlet::Descriptor& descriptor, ssize_t result) noexcept;

  // What SSL reads from and writes to.
  friend struct Bio;
  ssize_t take_input(char* data, std::size_t bytes) noexcept;
  bool put_output(const char* data, std::size_t bytes) noexcept;
  void keep_input() noexcept;

  const std::shared_ptr<Context> context_;
  const std::string host_;
  std::string session_key_;  // of a client, for the sessions of its peer
  std::unique_ptr<SSL, Free> ssl_;
  State state_ = State::idle;
  int fd_ = -1;
  int owner_ = 0;  // the process; its children must not speak for it

  std::string_view input_;  // received, for SSL to read: in the thread's buffer, or in kept_input_
  std::string kept_input_;
  bool short_read_ = false;  // the last one
  int read_error_ = 0;
  bool ended_ = false;         // the peer's FIN has come
  bool reading_over_ = false;  // we have shut down that direction: no end is missed
  uvlet::ByteBuffer output_;   // for the system to take
  int write_error_ = 0;
  bool heard_ = false;       // data has come
  bool answered_ = false;    // a server: it has sent its tickets
  bool end_wanted_ = false;  // shut down for writing, after the output
  bool opened_ = false;      // in this call
  Failure failure_;
};

}  // namespace aio::tls

#include "../ssl_support.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>

#include <memory>
#include <openssl/ssl.h>

// Transfers that are cut short: an end that the peer has not announced is no end.

using green::Socket;

namespace {

// Who receives, over which protocol; the sender is made of nothing but OpenSSL.
struct Way {
  int version;
  bool aio;
  bool to_client;
};

constexpr Way ways[] = {
    {TLS1_3_VERSION, false, false}, {TLS1_3_VERSION, false, true},  {TLS1_3_VERSION, true, false},
    {TLS1_3_VERSION, true, true},   {TLS1_2_VERSION, false, false}, {TLS1_2_VERSION, false, true},
    {TLS1_2_VERSION, true, false},  {TLS1_2_VERSION, true, true},
};

std::string name_of(const Way& way) {
  return std::string(way.version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2") +
         (way.aio ? ", aio, " : ", green, ") + (way.to_client ? "to the client" : "to the server");
}

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::unique_ptr<SSL_CTX, Free> sender_context(const Way& way) {
  std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_method()));
  SSL_CTX_set_min_proto_version(context.get(), way.version);
  SSL_CTX_set_max_proto_version(context.get(), way.version);
  SSL_CTX_set_num_tickets(context.get(), 0);  // the wire carries the transfer alone
  const test::Certificates& files = test::certificates();
  SSL_CTX_use_certificate_chain_file(context.get(), files.certificate("server").c_str());
  SSL_CTX_use_PrivateKey_file(context.get(), files.key("server").c_str(), SSL_FILETYPE_PEM);
  return context;
}

// The sending end, in memory.
class Sender {
 public:
  Sender(SSL_CTX* context, bool is_server)
      : ssl_(SSL_new(context)), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl_.get(), in_, out_);
    is_server ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
  }

  void shake_hands(Socket& wire) {
    for (;;) {
      const bool done = SSL_do_handshake(ssl_.get()) == 1;
      wire.sendall(output());
      if (done) return;
      const std::string input = wire.recv(64 * 1024);
      REQUIRE(!input.empty());
      BIO_write(in_, input.data(), static_cast<int>(input.size()));
    }
  }

  // What goes over the wire: these pieces, a record each, and the end.
  std::string records(const std::string& data, std::size_t piece) {
    for (std::size_t at = 0; at < data.size(); at += piece)
      REQUIRE(SSL_write(ssl_.get(), data.data() + at, static_cast<int>(piece)) > 0);
    SSL_shutdown(ssl_.get());
    return output();
  }

 private:
  std::string output() {
    std::string bytes(BIO_ctrl_pending(out_), '\0');
    if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }

  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_;
  BIO* out_;
};

struct Received {
  std::string data;
  bool clean = false;      // it ended as the sender ended it
  bool truncated = false;  // it was told that it was cut short
};

Received receive_green(Socket socket, const aio::SslOptions& options) {
  Received received;
  Socket wrapped = green::wrap_ssl(std::move(socket), options);
  try {
    for (std::string part; !(part = wrapped.recv(1000)).empty();) received.data += part;
    received.clean = true;
  } catch (const green::SslEofError&) {
    received.truncated = true;
  }
  return received;
}

aio::task<Received> receive_aio(int fd, aio::SslOptions options) {
  Received received;
  aio::Stream stream = aio::Stream::from_fd(fd);
  co_await aio::start_tls(stream, std::move(options));
  try {
    for (;;) {
      const std::string part = co_await stream.read(1000);
      if (part.empty()) break;
      received.data += part;
    }
    received.clean = true;
  } catch (const aio::SslEofError&) {
    received.truncated = true;
  }
  stream.close();
  co_return received;
}

constexpr std::size_t piece_bytes = 1024;

// Where each record ends: its length stands in its fourth and fifth byte.
std::vector<std::size_t> ends_of_records(const std::string& wire) {
  std::vector<std::size_t> ends;
  for (std::size_t at = 0; at < wire.size(); ends.push_back(at))
    at += 5u + (static_cast<unsigned char>(wire[at + 3]) << 8u) +
          static_cast<unsigned char>(wire[at + 4]);
  return ends;
}

// Transfers of the same data, each over a connection of its own and cut at another byte.
class Transfers {
 public:
  explicit Transfers(const Way& way) : way_(way), context_(sender_context(way)) {
    for (std::size_t i = 0; i < data_.size(); ++i) data_[i] = static_cast<char>(i * i % 251);
  }

  // Whole, to learn where its records end.
  std::vector<std::size_t> whole() {
    std::string wire;
    const Received received = transfer(std::string::npos, wire);
    CHECK(received.clean);
    CHECK((received.data == data_));
    return ends_of_records(wire);
  }

  // Whether it was told, and all the whole records arrived.
  bool cut_is_told(std::size_t limit) {
    std::string wire;
    const Received received = transfer(limit, wire);
    std::size_t records = 0;
    for (const std::size_t end : ends_of_records(wire)) records += end <= limit;
    return received.truncated && !received.clean &&
           received.data == data_.substr(0, records * piece_bytes);
  }

 private:
  Received transfer(std::size_t limit, std::string& wire) {
    auto [ours, theirs] = test::connected_pair();
    const aio::SslOptions options =
        way_.to_client ? test::client_options() : test::server_options();
    auto receiving = green::spawn([&, end = std::move(ours)]() mutable {
      return way_.aio ? green::awaitlet(receive_aio(end.detach(), options))
                      : receive_green(std::move(end), options);
    });
    Sender sender(context_.get(), way_.to_client);
    sender.shake_hands(theirs);
    wire = sender.records(data_, piece_bytes);
    theirs.sendall(std::string_view(wire).substr(0, limit));
    theirs.shutdown(SHUT_WR);
    return receiving.wait();
  }

  const Way way_;
  const std::unique_ptr<SSL_CTX, Free> context_;
  std::string data_ = std::string(16 * piece_bytes, '\0');
};

bool close_to_an_end(std::size_t limit, const std::vector<std::size_t>& ends) {
  for (const std::size_t end : ends)
    if (limit + 1 >= end && limit <= end + 1) return true;
  return limit <= 1;
}

// Cuts at every byte, or at those around the ends of records.
void cut(const Way& way, bool everywhere) {
  INFO(name_of(way));
  Transfers transfers(way);
  std::vector<std::size_t> ends;
  test::in_green_thread([&] { ends = transfers.whole(); });
  REQUIRE(ends.size() == 17);  // with what announces the end
  int cuts = 0, told = 0;
  for (std::size_t limit = 0; limit < ends.back();) {
    test::in_green_thread([&] {  // in turns, each under the watchdog
      for (int turn = 0; turn < 1000 && limit < ends.back(); ++limit) {
        if (!everywhere && !close_to_an_end(limit, ends)) continue;
        ++turn;
        ++cuts;
        told += transfers.cut_is_told(limit);
      }
    });
  }
  MESSAGE(name_of(way), ": ", cuts, " cuts");
  CHECK(cuts >= static_cast<int>(ends.size()) * 3);
  CHECK(told == cuts);
}

}  // namespace

TEST_CASE("a transfer that is cut at any byte never looks as if it had ended") {
  cut(ways[0], true);
}

TEST_CASE("nor does one cut around its records: either protocol, either face, either direction") {
  // Nightly at every byte.
  const bool everywhere = test::operations(1) > 1;
  for (const Way& way : ways) cut(way, everywhere);
}

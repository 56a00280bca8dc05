#include "websocket_deflate.hpp"

#include <aio/http/websocket.hpp>

#include <new>
#include <zlib.h>

namespace aio::http::detail {
namespace {

constexpr std::size_t piece_bytes = 16 * 1024;
constexpr std::string_view tail("\0\0\xff\xff", 4);  // of a flush: not sent

void give(z_stream& stream, std::string_view data) noexcept {
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
}

// Calls zlib with room for output until it has no more, or `got` wants none; its last answer.
template <class Call, class Got>
int pump(z_stream& stream, Call call, Got got) {
  char piece[piece_bytes];
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(piece);
    stream.avail_out = sizeof piece;
    const int answer = call();
    const bool go_on = got(std::string_view(piece, sizeof piece - stream.avail_out));
    if (!go_on || answer != Z_OK || stream.avail_out > 0) return answer;
  }
}

// What zlib takes at once is an unsigned int.
template <class F>
void in_pieces(std::string_view data, F take) {
  constexpr std::size_t most = 1u << 30;
  for (; data.size() > most; data.remove_prefix(most)) take(data.substr(0, most));
  take(data);
}

}  // namespace

struct Deflater::Zlib {
  explicit Zlib(int window_bits) {
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -window_bits, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  ~Zlib() { deflateEnd(&stream); }
  z_stream stream{};
};

std::string Deflater::operator()(std::string_view message) {
  if (!zlib_) zlib_ = std::make_unique<Zlib>(window_bits_);
  z_stream& stream = zlib_->stream;
  std::string out;
  in_pieces(message, [&](std::string_view part) {
    give(stream, part);
    const auto take = [&](std::string_view got) {
      out += got;
      return true;
    };
    pump(
        stream, [&] { return deflate(&stream, Z_SYNC_FLUSH); }, take);
  });
  if (out.empty()) out = tail;  // nothing new since the last flush
  if (out.ends_with(tail)) out.resize(out.size() - tail.size());
  if (out.empty()) out.assign(1, '\0');
  if (!takeover_) deflateReset(&stream);
  return out;
}

struct Inflater::Zlib {
  Zlib() {
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~Zlib() { inflateEnd(&stream); }
  z_stream stream{};
};

bool Inflater::add(std::string_view packed, std::string& out, std::size_t bytes_max) {
  if (!zlib_) zlib_ = std::make_unique<Zlib>();
  z_stream& stream = zlib_->stream;
  bool fits = true;
  const auto take = [&](std::string_view got) {
    const std::size_t room = bytes_max - out.size();
    fits = fits && got.size() <= room;
    out += got.substr(0, room);
    return fits;
  };
  in_pieces(packed, [&](std::string_view part) {
    give(stream, part);
    while (fits && stream.avail_in > 0) {
      const int answer = pump(
          stream, [&] { return inflate(&stream, Z_SYNC_FLUSH); }, take);
      if (answer == Z_STREAM_END)
        inflateReset(&stream);  // a block that is the last of its stream: RFC 7692, 7.2.3.5
      else if (fits && answer != Z_OK && answer != Z_BUF_ERROR)
        throw WebSocketError(1007, "a message that cannot be unpacked");
    }
  });
  return fits;
}

bool Inflater::finish(std::string& out, std::size_t bytes_max) {
  const bool fits = add(tail, out, bytes_max);
  if (!takeover_) inflateReset(&zlib_->stream);
  return fits;
}

Deflater::Deflater(const Deflate& how) noexcept
    : window_bits_(how.window_bits), takeover_(how.takeover) {}
Deflater::~Deflater() = default;
Inflater::Inflater(const Deflate& how) noexcept : takeover_(how.peer_takeover) {}
Inflater::~Inflater() = default;

}  // namespace aio::http::detail

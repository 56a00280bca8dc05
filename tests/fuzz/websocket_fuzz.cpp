// The frames of a connection mean the same however they are cut, and what they mean survives being
// written again.

#include "../http/frames.hpp"
#include "fuzz.hpp"

namespace {

constexpr std::size_t bytes_max = 1'000;

void check_written_again(const std::string& bytes, const std::optional<test::Deflate>& deflate) {
  using test::MsgType;
  test::WebSocketParser parser(test::WebSocketRole::server, bytes_max, deflate);
  test::WebSocketWriter writer(test::WebSocketRole::client, deflate);
  std::string meaning, again;
  try {
    std::string_view input = bytes;
    while (const std::optional<test::Message> message = parser.next(input)) {
      meaning += (meaning.empty() ? "" : " ") + test::brief(*message);
      if (message->type == MsgType::close)
        writer.close(again, message->code, message->data);
      else
        writer.message(again, message->type, message->data);
    }
  } catch (const test::WebSocketError&) {
  }
  fuzz::require_equal(test::understand(again, test::WebSocketRole::server, 0, deflate), meaning,
                      "messages mean the same when they are written again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const unsigned seed = input.byte();
  const unsigned how = input.byte();
  const auto role = how % 2 == 0 ? test::WebSocketRole::server : test::WebSocketRole::client;
  std::optional<test::Deflate> deflate;
  if (how & 2) deflate.emplace();
  if (deflate) deflate->peer_takeover = deflate->takeover = (how & 4) == 0;
  fuzz::require_equal(test::understand(input.rest(), role, bytes_max, deflate),
                      test::understand(fuzz::cut(input.rest(), seed), role, bytes_max, deflate),
                      "frames mean the same however they are cut");
  if (role == test::WebSocketRole::server) check_written_again(std::string(input.rest()), deflate);
  return 0;
}

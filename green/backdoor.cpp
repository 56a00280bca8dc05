#include <green/awaitlet.hpp>
#include <green/backdoor.hpp>
#include <green/convenience.hpp>
#include <green/debug.hpp>
#include <green/transitions.hpp>

#include <cerrno>
#include <charconv>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace green::backdoor {
namespace {

constexpr std::size_t line_bytes_max = 4096;
constexpr std::size_t chunk_bytes = 1024;
constexpr std::string_view prompt = ">>> ";
constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The lines that a peer sends.
class Lines {
 public:
  explicit Lines(Socket& socket) : socket_(socket) {}

  // nullopt at the end of the stream, or of a line that is too long for a command.
  std::optional<std::string> next() {
    for (;;) {
      if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
        std::string line = received_.substr(0, end);
        received_.erase(0, end + 1);
        return line;
      }
      if (received_.size() > line_bytes_max) return std::nullopt;
      const std::string more = socket_.recv(chunk_bytes);
      if (more.empty()) return std::nullopt;
      received_ += more;
    }
  }

 private:
  Socket& socket_;
  std::string received_;
};

// --- commands: each gives its answer ---------------------------------------------------------

std::string help() {
  return "help         this list\n"
         "ps           green threads and tasks: state, for how long, what each waits on\n"
         "bt ID        where one stands, innermost first\n"
         "kill ID      throws GreenletExit into one\n"
         "timers       what is due, the next first\n"
         "listeners    who waits for which descriptor\n"
         "transitions  calls between functions and coroutines, by place\n"
         "quit         closes this console\n";
}

std::string ps() {
  std::ostringstream out;
  debug::print_ps(out);
  return out.str();
}

std::string or_none(std::string text) { return text.empty() ? "none\n" : text; }

std::string transitions() {
  std::ostringstream out;
  print_transitions(out);
  return out.str();
}

// A command on one green thread: says what is wrong with its argument instead.
template <class F>
std::string with_greenlet(std::string_view argument, F function) {
  std::uint64_t id = 0;
  const char* const end = argument.data() + argument.size();
  const auto parsed = std::from_chars(argument.data(), end, id);
  if (argument.empty() || parsed.ec != std::errc() || parsed.ptr != end)
    return "not an id: '" + std::string(argument) + "'; ps lists them\n";
  const std::optional<Greenlet> greenlet = debug::find(id);
  if (!greenlet) return "nobody has the id " + std::to_string(id) + "; ps lists who is alive\n";
  return function(*greenlet);
}

std::string bt(const Greenlet& greenlet) {
  std::string text;
  int number = 0;
  for (void* frame : debug::backtrace(greenlet))
    text += "#" + std::to_string(number++) + " " + debug::format_address(frame) + "\n";
  return text.empty() ? "it has not started\n" : text;
}

std::string kill_one(const Greenlet& greenlet) {
  greenlet.kill();
  return greenlet.dead() ? "killed\n" : "the kill is requested\n";
}

std::string answer(std::string_view command, std::string_view argument) {
  if (command.empty()) return {};
  if (command == "bt") return with_greenlet(argument, bt);
  if (command == "kill") return with_greenlet(argument, kill_one);
  if (argument.empty()) {
    if (command == "help") return help();
    if (command == "ps") return ps();
    if (command == "timers") return or_none(debug::format_hub_timers());
    if (command == "listeners") return or_none(debug::format_hub_listeners());
    if (command == "transitions") return transitions();
  }
  return "unknown command '" + std::string(command) +
         (argument.empty() ? "" : " " + std::string(argument)) + "'; help lists them\n";
}

void converse(Socket& socket) {
  socket.sendall("uvlet, process " + std::to_string(getpid()) + "; help lists the commands\n" +
                 std::string(prompt));
  Lines lines(socket);
  while (const std::optional<std::string> line = lines.next()) {
    const std::string_view text = trimmed(*line);
    if (text == "quit") return;
    const std::size_t end = text.find_first_of(blanks);
    const std::string_view command = text.substr(0, end);
    const std::string_view argument =
        end == std::string_view::npos ? std::string_view() : trimmed(text.substr(end));
    socket.sendall(answer(command, argument) + std::string(prompt));
  }
}

void console(Socket socket, const Address&) {
  const Greenlet self = getcurrent();
  Greenlet(self).set_name("backdoor-" + std::to_string(self.id()));
  try {
    converse(socket);
  } catch (const std::system_error&) {  // the peer has gone: EPIPE, ECONNRESET
  }
}

}  // namespace

void server(Socket& listener) {
  try {
    serve(listener, console);
  } catch (const std::system_error& error) {
    if (error.code().value() != EBADF || !listener.closed()) throw;
  }
}

aio::task<void> server_async(Socket& listener) {
  return aio::async_def([&listener] { server(listener); });
}

}  // namespace green::backdoor

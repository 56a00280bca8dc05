#include <aio/connect.hpp>
#include <green/convenience.hpp>

#include <system_error>
#include <unistd.h>

namespace green {
aio::task<Socket> connect_async(Address address, std::optional<Address> bind) {
  auto connected = co_await aio::detail::connect(std::move(address), std::move(bind));
  co_return Socket::from_fd(connected->detach());
}

Socket connect(const Address& address) { return detail::drive(connect_async(address)); }

Socket connect(const Address& address, const Address& bind) {
  return detail::drive(connect_async(address, bind));
}

aio::task<Socket> listen_async(Address address, int backlog, bool reuse_addr,
                               std::optional<bool> reuse_port) {
  const std::vector<Address> found = co_await aio::detail::resolve(std::move(address));
  Socket socket(found.front().family());
  const bool internet = found.front().family() != AF_UNIX;
  if (reuse_addr && internet) socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1);
  if (reuse_port.value_or(internet && found.front().port() != 0))
    socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
  co_await socket.bind_async(found.front());
  socket.listen(backlog);
  co_return std::move(socket);
}

Socket listen(const Address& address, int backlog, bool reuse_addr,
              std::optional<bool> reuse_port) {
  return detail::drive(listen_async(address, backlog, reuse_addr, reuse_port));
}

std::pair<Socket, Address> detail::accept_patiently(Socket& listener) {
  for (;;) {
    try {
      return listener.accept();
    } catch (const std::system_error& error) {
      if (!uvlet::out_of_resources(error.code().value())) throw;
    }
    sleep(uvlet::accept_pause_seconds);  // until others give descriptors back
  }
}

detail::Serving::Serving() : state_(std::make_shared<State>()) {
  state_->server = uvlet::Hub::get().running()->identify();
}

detail::Serving::~Serving() {
  state_->over = true;
  if (state_->failure.queued()) state_->server->root->withdraw(state_->failure);
}

void detail::Serving::handler_failed(State& state) {
  if (state.over || state.failure.error) {
    try {
      throw;
    } catch (const StopServe&) {  // it has stopped
      return;
    }
  }
  state.failure.error = std::current_exception();
  state.server->root->interrupt(state.failure, true);
}

}  // namespace green

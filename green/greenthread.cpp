#include <green/greenthread.hpp>

namespace green {

const std::string& Greenlet::name() const {
  static const std::string nobody = "nobody";
  return identity_ ? identity_->name() : nobody;
}

void Greenlet::set_name(std::string name) {
  if (!identity_) throw std::logic_error("set_name: a Greenlet that names no green thread");
  identity_->set_name(std::move(name));
}

void Greenlet::interrupt(std::exception_ptr error) const {
  uvlet::notice_blocking_call();
  if (dead() || !identity_->root) return;
  uvlet::Hub& hub = uvlet::Hub::get();
  if (identity_->root->hub != &hub)
    throw std::logic_error("kill: green thread " + std::to_string(id()) +
                           " belongs to another OS thread");
  hub.kill(*identity_->root, std::move(error));
}

Greenlet getcurrent() { return Greenlet(uvlet::Hub::get().running()->identify()); }

void detail::After::operator()(uvlet::Root& self) const {
  const uvlet::Time left = deadline - self.hub->now();
  if (left > 0 || self.thrown) uvlet::block(uvlet::Sleep(std::chrono::nanoseconds(left)));
  if (only_while && only_while->finished) throw GreenletExit();
}

}  // namespace green

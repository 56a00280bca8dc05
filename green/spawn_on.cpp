#include <green/spawn_on.hpp>

namespace green::detail {

Remote::~Remote() = default;

// --- there

struct Remote::Started final : uvlet::Post {
  explicit Started(std::shared_ptr<Remote> of) noexcept : remote(std::move(of)) {}
  void run(uvlet::Hub& there) noexcept override {
    try {
      remote->thread_ = remote->start(there);
    } catch (...) {
      remote->fail(std::current_exception());
      remote->ended();
    }
    delete this;
  }
  std::shared_ptr<Remote> remote;
};

struct Remote::Killed final : uvlet::Post {
  explicit Killed(std::shared_ptr<Remote> of) noexcept : remote(std::move(of)) {}
  void run(uvlet::Hub&) noexcept override {
    if (!remote->thread_.dead())
      if (uvlet::Root* root = remote->thread_.identity()->root) root->kill();
    delete this;
  }
  std::shared_ptr<Remote> remote;
};

// --- here

struct Remote::Done final : uvlet::Post {
  explicit Done(std::shared_ptr<Remote> of) noexcept : remote(std::move(of)) {}
  void run(uvlet::Hub&) noexcept override {
    remote->done_ = true;
    if (remote->waiting_) {
      --remote->here_.external;
      std::exchange(remote->waiting_, nullptr)->notify();
    }
    delete this;
  }
  std::shared_ptr<Remote> remote;
};

void Remote::send() { there_.send(*new Started(shared_from_this())); }

void Remote::ended() noexcept {
  thread_ = Greenlet();
  const std::lock_guard lock(mutex_);
  over_ = true;
  if (!abandoned_) here_.send(*new Done(shared_from_this()));
}

void Remote::post_kill() noexcept {
  const std::lock_guard lock(mutex_);
  if (!over_) there_.send(*new Killed(shared_from_this()));
}

void Remote::abandon() noexcept {
  if (done_) return;
  if (!here_.ending()) post_kill();
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
}

void Remote::Wait::suspend(uvlet::Hub& hub) noexcept {
  remote_.waiting_ = this;
  ++hub.external;
}

uvlet::Cancel Remote::Wait::cancel() noexcept {
  if (!remote_.waiting_) return uvlet::Cancel::done;
  if (remote_.here_.ending()) {
    remote_.waiting_ = nullptr;
    --remote_.here_.external;
    return uvlet::Cancel::done;
  }
  remote_.post_kill();
  return uvlet::Cancel::later;
}

}  // namespace green::detail

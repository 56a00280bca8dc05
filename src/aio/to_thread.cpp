#include <aio/context_var.hpp>
#include <aio/to_thread.hpp>
#include <uvlet/hub.hpp>

#include "../uvlet/threads.hpp"

#include <memory>
#include <system_error>
#include <utility>
#include <uv.h>

namespace aio::detail {
namespace {

constinit thread_local bool in_pool = false;

}  // namespace

struct ThreadJob::Work {
  uv_work_t request{};
  ThreadJob* job = nullptr;
  uvlet::Hub* hub = nullptr;
};

ThreadJob::ThreadJob() : context_(uvlet::copy_of(current_context())) {}

ThreadJob::~ThreadJob() = default;

// The call has a copy of the copy: what it replaces lives on until the job is freed, on the hub.
void ThreadJob::call() noexcept {
  uvlet::Handle<uvlet::ContextVars> context = uvlet::copy_of(context_);
  std::swap(current_context(), context);
  run();
  std::swap(current_context(), context);
}

bool ThreadJob::inside_pool() noexcept { return in_pool; }

void ThreadJob::start(uvlet::Hub& hub, uvlet::Waiter& waiter) {
  uvlet::thread_pool_used();
  auto work = std::make_unique<Work>();
  work->request.data = work.get();
  work->job = this;
  work->hub = &hub;
  const int rc = uv_queue_work(
      hub.loop(), &work->request,
      [](uv_work_t* request) {
        in_pool = true;
        static_cast<Work*>(request->data)->job->call();
        in_pool = false;
      },
      [](uv_work_t* request, int) {
        const std::unique_ptr<Work> done(static_cast<Work*>(request->data));
        done->job->finish(*done->hub);
      });
  if (rc < 0) throw std::system_error(-rc, std::generic_category(), "uv_queue_work");
  (void)work.release();
  ++hub.external;
  ++hub.offloaded;
  waiter_ = &waiter;
  in_flight_ = true;
}

// On the loop's own stack, where nothing may block: an abandoned job is freed where it may, as long
// as there is such a place.
void ThreadJob::finish(uvlet::Hub& hub) noexcept {
  --hub.external;
  --hub.offloaded;
  in_flight_ = false;
  if (waiter_) {
    waiter_->notify();
    return;
  }
  std::unique_ptr<ThreadJob> self(this);
  if (!hub.loop()) return;
  try {
    hub.spawn([self = std::move(self)]() mutable { self.reset(); });
  } catch (...) {  // no stack for it: `self` is freed here
  }
}

void set_thread_pool_size(int threads) { uvlet::set_thread_pool_size(threads); }

}  // namespace aio::detail

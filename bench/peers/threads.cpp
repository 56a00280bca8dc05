#include "../support.hpp"
#include "peers.hpp"

#include <uv.h>

#include <future>
#include <thread>

namespace peers {

double thread_and_promise() {
  return bench::each_of(2'000, [] {
    std::promise<int> promise;
    std::thread thread([&] { promise.set_value(1); });
    promise.get_future().get();
    thread.join();
  });
}

double thread_with_loop() {
  return bench::each_of(2'000, [] {
    std::promise<int> promise;
    std::thread thread([&] {
      uv_loop_t loop;
      uv_loop_init(&loop);
      uv_idle_t call;
      uv_idle_init(&loop, &call);
      call.data = &promise;
      uv_idle_start(&call, [](uv_idle_t* self) {
        static_cast<std::promise<int>*>(self->data)->set_value(1);
        uv_close(reinterpret_cast<uv_handle_t*>(self), nullptr);
      });
      uv_run(&loop, UV_RUN_DEFAULT);
      uv_loop_close(&loop);
    });
    promise.get_future().get();
    thread.join();
  });
}

}  // namespace peers

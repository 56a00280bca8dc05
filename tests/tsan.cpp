// What ThreadSanitizer must not report in programs of this build.

#include <uvlet/config.hpp>

#if defined(UVLET_TSAN)

// A child of a test's may start threads.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

// libuv closes descriptors by raw system calls, which the tool does not see: for it, who gets the
// same number next, on another thread, races with the one before. The count that keeps an exception
// object alive for several threads is atomic, but inside libstdc++, where the tool does not see it.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race_top:interceptor_epoll_create1$\n"
         "race_top:interceptor_eventfd$\n"
         "race_top:interceptor_pipe2$\n"
         "race_top:interceptor_socket$\n"
         "race_top:interceptor_socketpair$\n"
         "race_top:interceptor_accept4$\n"
         "race:std::__exception_ptr::exception_ptr::_M_release\n"
         "race:std::runtime_error::~runtime_error\n";
}

#endif

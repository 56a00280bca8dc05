#pragma once

// Include in one file of a test program: getaddrinfo(3) of that program is this one. Names under
// ".fake" are made up here, all others are the system's.
//
//   N.stalled.fake    stalls until fake::release(), and has no address then
//   NAME.fake         what fake::addresses[NAME.fake] says

#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <netdb.h>
#include <string>
#include <uvlet/address.hpp>
#include <vector>

namespace fake {

// Never destroyed: who stalls at the process's end still waits.
inline std::mutex& mutex = *new std::mutex;
inline std::condition_variable& released = *new std::condition_variable;
inline bool stalling = true;
inline int begun = 0;  // look-ups that stall, or have
inline int ended = 0;
inline int flags = 0;  // that the last one came with
inline std::map<std::string, std::vector<uvlet::Address>> addresses;

inline void release() {
  const std::lock_guard lock(mutex);
  stalling = false;
  released.notify_all();
}
inline void stall_again() {
  const std::lock_guard lock(mutex);
  stalling = true;
}
inline int count(const int& which) {
  const std::lock_guard lock(mutex);
  return which;
}

inline int look_up(const std::string& host, const addrinfo* hints, addrinfo** result) {
  std::unique_lock lock(mutex);
  if (host.ends_with(".stalled.fake")) {
    ++begun;
    released.wait(lock, [] { return !stalling; });
    ++ended;
    return EAI_NONAME;
  }
  const auto found = addresses.find(host);
  if (found == addresses.end()) return EAI_NONAME;
  // As numbers from the real one, chained: freeaddrinfo frees them.
  static const auto real =
      reinterpret_cast<decltype(&::getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  addrinfo numeric{};
  numeric.ai_flags = AI_NUMERICHOST;
  numeric.ai_socktype = SOCK_STREAM;
  addrinfo** end = result;
  *end = nullptr;
  for (const uvlet::Address& address : found->second) {
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != address.family()) continue;
    const std::string port = std::to_string(address.port());
    if (const int code = real(address.host().c_str(), port.c_str(), &numeric, end)) return code;
    while (*end) end = &(*end)->ai_next;
  }
  return *result ? 0 : EAI_NONAME;
}

}  // namespace fake

extern "C" inline int fake_getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                                       addrinfo** result) {
  if (host && hints) {
    const std::lock_guard lock(fake::mutex);
    fake::flags = hints->ai_flags;
  }
  if (host && std::strlen(host) > 5 && std::string(host).ends_with(".fake"))
    return fake::look_up(host, hints, result);
  static const auto real =
      reinterpret_cast<decltype(&::getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(host, service, hints, result);
}

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  return fake_getaddrinfo(host, service, hints, result);
}

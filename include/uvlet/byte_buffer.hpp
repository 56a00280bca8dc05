#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <uvlet/config.hpp>

namespace uvlet::inline UVLET_ABI {

// Bytes that come at the back and go at the front. However they are cut, each is moved a constant
// number of times, and the memory is that of what is in it, at its most, a constant number of
// times.
class ByteBuffer {
 public:
  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return bytes_.size() - gone_; }
  std::size_t capacity() const noexcept { return bytes_.capacity(); }
  // Until the next change.
  const char* data() const noexcept { return bytes_.data() + gone_; }
  std::string_view view() const noexcept { return {data(), size()}; }

  // Throws bad_alloc, and is as before.
  void append(std::string_view bytes) {
    if (gone_ > 0 && gone_ >= size()) {
      bytes_.erase(0, gone_);
      gone_ = 0;
    }
    bytes_.append(bytes);
  }
  // The first ones, up to so many.
  std::string take(std::size_t bytes) {
    std::string taken;
    if (gone_ == 0 && bytes >= size() && size() >= capacity() / 2) {
      taken.swap(bytes_);
    } else {
      taken = view().substr(0, bytes);
      drop(taken.size());
    }
    return taken;
  }
  // Without the first ones, as many as there are at most.
  void drop(std::size_t bytes) noexcept {
    gone_ += bytes < size() ? bytes : size();
    if (empty()) clear();
  }
  void clear() noexcept {
    bytes_.clear();
    gone_ = 0;
  }
  // The same, and gives its memory back.
  void release() noexcept {
    std::string().swap(bytes_);
    gone_ = 0;
  }

 private:
  std::string bytes_;
  std::size_t gone_ = 0;  // of bytes_, at its front
};

}  // namespace uvlet::inline UVLET_ABI

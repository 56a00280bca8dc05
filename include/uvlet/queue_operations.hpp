#pragma once

// The two waits for a queue, however long they take.

#include <uvlet/queue_core.hpp>
#include <uvlet/waiter.hpp>

#include <utility>

namespace uvlet::inline UVLET_ABI {

template <class T, class Core>
class [[nodiscard]] QueueGet final : public Operation<QueueGet<T, Core>, typename Core::Getter> {
 public:
  explicit QueueGet(Core& core) noexcept : Operation<QueueGet, typename Core::Getter>(core) {}
  QueueGet(QueueGet&&) noexcept = default;
  T result() { return this->take(); }
};

template <class T, class Core>
class [[nodiscard]] QueuePut final : public Operation<QueuePut<T, Core>, typename Core::Putter> {
 public:
  QueuePut(Core& core, T&& item)
      : Operation<QueuePut, typename Core::Putter>(core, std::move(item)) {}
  QueuePut(QueuePut&&) = default;
  void result() const noexcept {}
};

}  // namespace uvlet::inline UVLET_ABI

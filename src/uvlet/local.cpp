#include <uvlet/local.hpp>

#include <atomic>
#include <mutex>
#include <type_traits>

namespace uvlet::inline UVLET_ABI {
namespace {

std::atomic<std::uint64_t> last_number{0};

// Guards the keys' lists. There is nothing to destroy: keys and Roots may outlive this file's
// statics.
constinit std::mutex lists_mutex;
static_assert(std::is_trivially_destructible_v<std::mutex>);

void forget(Root& root, const LocalValue& value) noexcept {
  LocalValue** place = &root.locals;
  while (*place != &value) place = &(*place)->next;
  *place = value.next;
}

}  // namespace

LocalValue::~LocalValue() = default;

LocalKey::LocalKey() noexcept : number_(++last_number) {}

LocalKey::~LocalKey() {
  List<LocalValue> own;
  {
    const std::lock_guard lock(lists_mutex);
    while (!values_.empty()) {
      LocalValue* value = values_.pop_front();
      if (value->root->hub != Hub::existing()) continue;
      own.push_back(value);
      forget(*value->root, *value);
    }
  }
  while (!own.empty()) delete own.pop_front();
}

void LocalKey::add(std::unique_ptr<LocalValue> value) noexcept {
  Root& root = *Hub::get().running();
  LocalValue* added = value.release();
  added->root = &root;
  added->number = number_;
  added->next = root.locals;
  root.locals = added;
  const std::lock_guard lock(lists_mutex);
  values_.push_back(added);
}

// A destructor may block, and may use other locals.
void Root::free_locals() noexcept {
  ++shields;
  while (LocalValue* value = locals) {
    locals = value->next;
    {
      const std::lock_guard lock(lists_mutex);
      value->unlink();
    }
    delete value;
  }
  --shields;
}

}  // namespace uvlet::inline UVLET_ABI

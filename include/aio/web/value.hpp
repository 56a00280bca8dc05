#pragma once

#include <uvlet/config.hpp>

#include <memory>
#include <string>
#include <typeinfo>
#include <utility>

namespace aio::web::detail {

// A value of any type, move-only ones too, under a name. Copies share it.
class UVLET_API Value {
 public:
  template <class T>
  static Value of(T value) {
    return Value(std::make_shared<T>(std::move(value)), typeid(T));
  }

  // `name` is for the message. Throws logic_error if it is of another type.
  template <class T>
  T& get(const std::string& name) const {
    if (*type_ != typeid(T)) fail(name, typeid(T));
    return *static_cast<T*>(value_.get());
  }

 private:
  Value(std::shared_ptr<void> value, const std::type_info& type)
      : value_(std::move(value)), type_(&type) {}
  [[noreturn]] void fail(const std::string& name, const std::type_info& wanted) const;

  std::shared_ptr<void> value_;
  const std::type_info* type_;
};

}  // namespace aio::web::detail

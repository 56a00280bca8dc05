#include <aio/web/value.hpp>

#include <cstdlib>
#include <cxxabi.h>
#include <stdexcept>

namespace aio::web::detail {
namespace {

std::string name_of(const std::type_info& type) {
  char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, nullptr);
  std::string name = text ? text : type.name();
  std::free(text);
  return name;
}

}  // namespace

void Value::fail(const std::string& name, const std::type_info& wanted) const {
  throw std::logic_error("'" + name + "' is a " + name_of(*type_) + ", and not a " +
                         name_of(wanted));
}

}  // namespace aio::web::detail

#pragma once

#include <uvlet/config.hpp>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aio::http {

// The fields of a message, in their order; a name may come more than once, in any case.
// A name that is no token, or a value with a CR, LF or NUL, is std::invalid_argument: no field can
// smuggle in another one. Source: RFC 9110, 5.
class UVLET_API Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields);

  // The first value of that name.
  std::optional<std::string> get(std::string_view name) const;
  std::vector<std::string> get_all(std::string_view name) const;
  bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }

  // In the place of the first one of that name, and of all others of that name.
  void set(std::string name, std::string value);
  void add(std::string name, std::string value);
  // Whether there was one; all of that name.
  bool remove(std::string_view name) noexcept;

  // The first value of that name in place, until the fields change; null: none.
  const std::string* find(std::string_view name) const noexcept;

  bool empty() const noexcept { return fields_.empty(); }
  std::size_t size() const noexcept { return fields_.size(); }
  void clear() noexcept { fields_.clear(); }
  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }

  // What a parser has checked.
  void add_checked(std::string_view name, std::string_view value) {
    fields_.emplace_back(name, value);
  }

 private:
  std::vector<Field> fields_;
};

// Names, and the words of protocols, are compared so.
UVLET_API bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace aio::http

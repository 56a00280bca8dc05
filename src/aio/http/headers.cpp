#include "text.hpp"

#include <aio/http/headers.hpp>

#include <algorithm>
#include <stdexcept>

namespace aio::http {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

void check(const std::string& name, const std::string& value) {
  if (!detail::is_token(name))
    throw std::invalid_argument("a header's name must be a token: '" + name + "'");
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    throw std::invalid_argument("the value of the header '" + name +
                                "' contains a line end or NUL");
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return x == y || lower(x) == lower(y);
         });
}

Headers::Headers(std::initializer_list<Field> fields) {
  fields_.reserve(fields.size());
  for (const Field& field : fields) add(field.first, field.second);
}

const std::string* Headers::find(std::string_view name) const noexcept {
  for (const Field& field : fields_)
    if (equal_ignoring_case(field.first, name)) return &field.second;
  return nullptr;
}

std::optional<std::string> Headers::get(std::string_view name) const {
  const std::string* found = find(name);
  return found ? std::optional(*found) : std::nullopt;
}

std::vector<std::string> Headers::get_all(std::string_view name) const {
  std::vector<std::string> values;
  for (const Field& field : fields_)
    if (equal_ignoring_case(field.first, name)) values.push_back(field.second);
  return values;
}

void Headers::add(std::string name, std::string value) {
  check(name, value);
  fields_.emplace_back(std::move(name), std::move(value));
}

void Headers::set(std::string name, std::string value) {
  check(name, value);
  auto same = [&](const Field& field) { return equal_ignoring_case(field.first, name); };
  const auto first = std::find_if(fields_.begin(), fields_.end(), same);
  if (first == fields_.end()) {
    fields_.emplace_back(std::move(name), std::move(value));
    return;
  }
  first->second = std::move(value);
  fields_.erase(std::remove_if(first + 1, fields_.end(), same), fields_.end());
}

bool Headers::remove(std::string_view name) noexcept {
  return std::erase_if(fields_, [&](const Field& field) {
           return equal_ignoring_case(field.first, name);
         }) > 0;
}

}  // namespace aio::http

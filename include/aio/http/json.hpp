#pragma once

#include <nlohmann/json.hpp>

namespace aio::http {

using json = nlohmann::json;

}  // namespace aio::http

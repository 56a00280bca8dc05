#pragma once

// Connecting to a name: RFC 8305, "happy eyeballs". The core of aio::open_connection and of
// green::connect.

#include <aio/task.hpp>
#include <uvlet/address.hpp>
#include <uvlet/descriptor.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace aio::detail {

using uvlet::Address;

// Sorted so that the families alternate, the first one's first; else the order stays.
UVLET_API std::vector<Address> interleaved(const std::vector<Address>& addresses);

// A connected socket. See aio::open_connection.
UVLET_API task<std::unique_ptr<uvlet::Descriptor>> connect(Address address,
                                                           std::optional<Address> local = {});

}  // namespace aio::detail

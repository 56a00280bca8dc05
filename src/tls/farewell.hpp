#pragma once

#include <string>

namespace aio::tls {

// Sends in the background what a connection that is being closed still has to say, then shuts it
// down: over a descriptor of its own, so that the number of the closed one is free. With `listen`
// it takes in what still comes until the peer closes too, which else the system would answer with a
// reset, and the peer might lose what it has not read. It gives up after half a minute.
void say_farewell(int fd, std::string bytes, bool listen) noexcept;

}  // namespace aio::tls

#pragma once

#include <uvlet/exceptions.hpp>

#include <stdexcept>

namespace aio {

using uvlet::BaseException;
using uvlet::CancelledError;
using uvlet::GreenletExit;
using uvlet::NoAwaitletContext;
using uvlet::TimeoutExpired;

// A wait_for or timeout scope that took too long. Source: asyncio.TimeoutError.
struct UVLET_API TimeoutError : std::runtime_error {
  TimeoutError() : std::runtime_error("timed out") {}
  using std::runtime_error::runtime_error;
};

// A Future asked for its result before it has one, or given one twice.
struct UVLET_API InvalidStateError : std::logic_error {
  InvalidStateError() : std::logic_error("the Future is not in a state that allows this") {}
  using std::logic_error::logic_error;
};

}  // namespace aio

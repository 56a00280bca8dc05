#pragma once

// Where a green thread or a task stands, and what addresses are called.

#include <uvlet/config.hpp>
#include <uvlet/root.hpp>

#include <string>
#include <vector>

namespace uvlet::inline UVLET_ABI {

// Return addresses, innermost first: the coroutines that wait for one another, as if their first
// instruction made a call, then what is on its stack. Of the Root that runs: its caller's. Empty
// before its start. Nothing in it is run or changed.
UVLET_API std::vector<void*> backtrace(Root& root);

// "f(int)+0x12" for a return address: by the dynamic symbols, else by the symbol table of the file
// that it lies in, if it has one; else "file+0x1234".
UVLET_API std::string symbol(void* return_address);

// The frames of one line, innermost first: "f(int)+0x12 < g()+0x34".
UVLET_API std::string symbols(const std::vector<void*>& return_addresses);

}  // namespace uvlet::inline UVLET_ABI

#pragma once

#include <map>
#include <string>

using Programs = std::map<std::string, void (*)()>;

// An entry of Programs.
#define PROGRAM(name) \
  { #name, name }

Programs programs_that_end();

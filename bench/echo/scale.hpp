#pragma once

#include <string>

// How green::serve does with many connections, and with several cores. Each prints its table, and
// gives it as a JSON object.

// A hundred busy connections, alone and beside idle ones that each have a green thread.
std::string compare_idle(int rounds, double seconds);
// One hub, and two on one port.
std::string compare_hubs(int rounds, double seconds);

// What waits most moves first. The rest stays as it is, in the same process and on the same loop.

#include "lines.hpp"

#include <cstdio>
#include <vector>

namespace {

green::Address shop;

namespace before {
// [before]
std::string in_stock(const std::string& id) {  // each page asks, a hundred times a second
  return green::spawn(lines::ask, shop, "stock " + id).wait();
}
std::string recommended(const std::string& id) {
  return green::spawn(lines::ask, shop, "like " + id).wait();
}
// [/before]
#include "priorities_callers.hpp"
}  // namespace before

namespace after {
// [after]
std::string in_stock(const std::string& id) {
  return green::awaitlet(lines::ask_async(shop, "stock " + id));
}
std::string recommended(const std::string& id) {  // its turn comes later, or never
  return green::spawn(lines::ask, shop, "like " + id).wait();
}
// [/after]
#include "priorities_callers.hpp"
}  // namespace after

// Ten pages at once.
template <class Page>
void check(Page page) {
  std::vector<green::GreenThread<std::string>> pages;
  for (int i = 0; i < 10; ++i) pages.push_back(green::spawn(page, std::to_string(i)));
  for (int i = 0; i < 10; ++i) {
    const std::string id = std::to_string(i);
    lines::require(pages[static_cast<std::size_t>(i)].wait() ==
                       "<stock " + id + ">; see also <like " + id + ">",
                   "a page");
  }
}

}  // namespace

int main() {
  lines::Server server([](const std::string& line) { return "<" + line + ">"; });
  shop = server.address();
  check(before::product_page);
  green::debug::transitions(true);
  check(after::product_page);
  const auto sites = green::transitions();
  lines::require(sites.size() == 1 && sites[0].calls == 10, "one transition point, in each page");
  std::printf("the critical call moved, the secondary one did not, the pages are the same\n");
}

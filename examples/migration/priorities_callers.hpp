// priorities.cpp includes this before and after: who calls, and is not touched.

// [callers]
std::string product_page(const std::string& id) {
  return in_stock(id) + "; see also " + recommended(id);
}
// [/callers]

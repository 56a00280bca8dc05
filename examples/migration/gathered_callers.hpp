// gathered.cpp includes this above each way to fetch.

// [callers]
std::string contents(const std::vector<std::string>& urls) {
  std::string all;
  for (const std::string& body : process_urls(urls)) all += body + " ";
  return all;
}
// [/callers]

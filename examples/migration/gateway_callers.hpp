// gateway.cpp includes this for each state of the gateway.

// [callers]
void rename_resource(ApiGateway& gateway, const std::string& from, const std::string& to) {
  gateway.save_data(to, gateway.fetch_data(from));
  gateway.save_data(from, "gone");
}
// [/callers]

// deep_call_chain.cpp includes this twice, above the old edge and above the new one.

// [callers]
Record business_logic(const Params& params) {
  Record record = data_access_layer(params);
  record["checked"] = "yes";
  return record;
}
Record service_layer(const Params& params) { return business_logic(params); }
std::string api_endpoint(const Params& request) {
  const Record record = service_layer(request);
  return record.at("id") + " has " + record.at("value") + ", checked: " + record.at("checked");
}
// [/callers]

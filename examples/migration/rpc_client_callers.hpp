// rpc_client.cpp includes this twice: programs that call remote procedures.

// [callers]
int balance(RpcClient& client, const std::string& account) {
  return std::stoi(client.call_remote("balance", account));
}
bool transfer(RpcClient& client, const std::string& from, const std::string& to, int amount) {
  if (balance(client, from) < amount) return false;
  client.call_remote("add", from, -amount);
  client.call_remote("add", to, amount);
  return true;
}
// [/callers]

// dual_mode.cpp includes this twice: the consumers that know only the blocking face.

// [callers]
std::string process_user(DatabaseApi& api, int id) { return "Dear " + api.get_user(id); }
std::string process_users(DatabaseApi& api) {
  green::GreenPile<std::string> pile;
  for (int id = 1; id <= 3; ++id) pile.spawn(process_user, std::ref(api), id);
  std::string letters;
  for (const std::string& letter : pile) letters += letter + ". ";
  return letters;
}
// [/callers]

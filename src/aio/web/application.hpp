#pragma once

#include <aio/web/application.hpp>

#include <map>
#include <optional>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

namespace aio::web::detail {

// The handlers of one path, by method.
struct Resource {
  std::vector<std::pair<std::string, AnyHandler>> handlers;
  const AnyHandler* find(const std::string& method) const noexcept;
  std::string allowed() const;
};

// A path with placeholders.
class Pattern {
 public:
  // Throws invalid_argument for braces that do not match, a name twice, a bad expression.
  explicit Pattern(const std::string& path);
  bool matches(std::string_view path, std::map<std::string, std::string>& found) const;
  const std::string& path() const noexcept { return path_; }

 private:
  struct Segment {
    std::string text;  // or the placeholder's name
    bool placeholder;
  };
  bool parse_segments();
  void parse_expression();

  std::string path_;
  std::vector<Segment> segments_;         // of one whose placeholders are whole segments
  std::optional<std::regex> expression_;  // of all others
  std::vector<std::string> names_;
};

struct ApplicationState {
  ApplicationState() : router(*this) {}

  // What an application answers.
  static task<Response> respond(Application& app, Request& request);
  // The response to the request, with everything around the handler.
  task<Response> respond(Application& app, Request& request, std::string_view path);
  // Without middlewares.
  task<Response> route(Application& app, Request& request, std::string_view path);
  const AnyHandler& find(Request& request, std::string_view path);
  task<void> run(const std::vector<Hook>& hooks, Application& app);
  task<void> startup(Application& app);
  task<void> shutdown(Application& app);
  task<void> cleanup(Application& app);
  void add(std::string method, std::string path, AnyHandler handler);

  Application::Router router;
  std::unordered_map<std::string, Resource> exact;
  std::vector<std::pair<Pattern, Resource>> patterns;
  std::vector<std::pair<std::string, AnyHandler>> prefixes;       // of files
  std::vector<std::pair<std::string, Application>> applications;  // by prefix
  std::vector<Middleware> middlewares;
  std::vector<Hook> on_startup, on_shutdown, on_cleanup;
  std::map<std::string, Value> storage;
};

// The files below a directory; match_info()["filename"] is the path below it.
AnyHandler static_files(const std::string& directory);

}  // namespace aio::web::detail

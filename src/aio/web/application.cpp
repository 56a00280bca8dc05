#include "application.hpp"

#include "../http/parser.hpp"
#include "../http/text.hpp"

#include <algorithm>
#include <stdexcept>

namespace aio::web {
namespace detail {

// --- paths -------------------------------------------------------------------------------------

namespace {

// The path with its escapes undone, but for those of "/" and "%": what routes are compared with.
std::string canonical(std::string_view path) {
  std::string result;
  for (std::size_t at = 0; at < path.size(); ++at) {
    const std::string one = http::detail::decoded(path.substr(at, path[at] == '%' ? 3 : 1));
    if (path[at] != '%' || one.size() != 1) {
      result += path[at];
      continue;
    }
    if (one == "/")
      result += "%2F";
    else if (one == "%")
      result += "%25";
    else
      result += one;
    at += 2;
  }
  return result;
}

void check_path(const std::string& path, const char* call) {
  if (path.empty() || path.front() != '/')
    throw std::invalid_argument(std::string(call) + ": the path '" + path +
                                "' does not begin with '/'");
}

template <class F>
void for_each_segment(std::string_view path, F function) {
  path.remove_prefix(1);
  for (;;) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (!function(path.substr(0, end)) || end == path.size()) return;
    path.remove_prefix(end + 1);
  }
}

std::string escaped(std::string_view literal) {
  std::string text;
  for (const char c : literal) {
    if (std::string_view(".^$|()[]{}*+?\\").find(c) != std::string_view::npos) text += '\\';
    text += c;
  }
  return text;
}

bool below(std::string_view path, const std::string& prefix) noexcept {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

Pattern::Pattern(const std::string& path) : path_(path) {
  if (!parse_segments()) parse_expression();
}

// False: a placeholder is not a whole segment, or has an expression.
bool Pattern::parse_segments() {
  bool whole = true;
  for_each_segment(path_, [&](std::string_view segment) {
    const bool braces = segment.find_first_of("{}") != std::string_view::npos;
    const std::string_view name =
        segment.size() > 2 ? segment.substr(1, segment.size() - 2) : std::string_view();
    const bool placeholder = segment.starts_with('{') && segment.ends_with('}') &&
                             name.find_first_of("{}:") == std::string_view::npos && !name.empty();
    whole = whole && braces == placeholder;
    segments_.push_back({std::string(placeholder ? name : segment), placeholder});
    if (placeholder) {
      if (std::find(names_.begin(), names_.end(), name) != names_.end())
        throw std::invalid_argument("the path '" + path_ + "' has a placeholder twice");
      names_.emplace_back(name);
    }
    return whole;
  });
  return whole;
}

void Pattern::parse_expression() {
  segments_.clear();
  names_.clear();
  std::string expression;
  std::string_view rest = path_;
  const auto bad = [&](const char* why) {
    return std::invalid_argument("the path '" + path_ + "' " + why);
  };
  while (!rest.empty()) {
    const std::size_t open = std::min(rest.find('{'), rest.size());
    if (rest.substr(0, open).find('}') != std::string_view::npos)
      throw bad("has a '}' without its '{'");
    expression += escaped(rest.substr(0, open));
    rest.remove_prefix(open);
    if (rest.empty()) break;
    std::size_t end = 0;
    for (int depth = 0; end < rest.size(); ++end) {
      if (rest[end] == '{') ++depth;
      if (rest[end] == '}' && --depth == 0) break;
    }
    if (end == rest.size()) throw bad("has a '{' without its '}'");
    const std::string_view inside = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    const std::size_t colon = std::min(inside.find(':'), inside.size());
    names_.emplace_back(inside.substr(0, colon));
    if (names_.back().empty()) throw bad("has a placeholder without a name");
    if (std::count(names_.begin(), names_.end(), names_.back()) > 1)
      throw bad("has a placeholder twice");
    expression += "(";
    expression += colon < inside.size() ? inside.substr(colon + 1) : std::string_view("[^/]+");
    expression += ")";
  }
  try {
    expression_.emplace(expression);
  } catch (const std::regex_error& error) {
    throw bad(error.what());
  }
  if (expression_->mark_count() != names_.size()) throw bad("has a group in an expression");
}

bool Pattern::matches(std::string_view path, std::map<std::string, std::string>& found) const {
  if (expression_) {
    std::match_results<std::string_view::const_iterator> match;
    if (!std::regex_match(path.begin(), path.end(), match, *expression_)) return false;
    for (std::size_t i = 0; i < names_.size(); ++i)
      found[names_[i]] = http::detail::decoded(match[i + 1].str());
    return true;
  }
  std::size_t at = 0;
  bool same = true;
  std::string_view values[16];
  std::size_t count = 0;
  for_each_segment(path, [&](std::string_view segment) {
    same = at < segments_.size() &&
           (segments_[at].placeholder ? !segment.empty() : segments_[at].text == segment);
    if (same && segments_[at].placeholder) values[count++] = segment;
    ++at;
    return same && count < std::size(values);
  });
  if (!same || at != segments_.size()) return false;
  for (std::size_t i = 0; i < count; ++i) found[names_[i]] = http::detail::decoded(values[i]);
  return true;
}

// --- routes ------------------------------------------------------------------------------------

const AnyHandler* Resource::find(const std::string& method) const noexcept {
  const AnyHandler* other = nullptr;
  for (const auto& [name, handler] : handlers) {
    if (name == method) return &handler;
    if (name == "*" || (name == "GET" && method == "HEAD")) other = &handler;
  }
  return other;
}

std::string Resource::allowed() const {
  std::string text;
  for (const auto& [name, handler] : handlers) {
    text += (text.empty() ? "" : ", ") + name;
    if (name == "GET") text += ", HEAD";
  }
  return text;
}

void ApplicationState::add(std::string method, std::string path, AnyHandler handler) {
  check_path(path, "add_route");
  if (method != "*" && !http::detail::is_method(method))
    throw std::invalid_argument("add_route: '" + method + "' is no method");
  Resource* resource = nullptr;
  if (path.find_first_of("{}") == std::string::npos) {
    resource = &exact[path];
  } else {
    for (auto& [pattern, known] : patterns)
      if (pattern.path() == path) resource = &known;
    if (!resource) resource = &patterns.emplace_back(Pattern(path), Resource()).second;
  }
  for (const auto& [known, unused] : resource->handlers)
    if (known == method)
      throw std::invalid_argument("add_route: " + method + " " + path + " has a handler already");
  resource->handlers.emplace_back(std::move(method), std::move(handler));
}

const AnyHandler& ApplicationState::find(Request& request, std::string_view path) {
  const Resource* other = nullptr;  // of that path, without that method
  const auto found = exact.find(std::string(path));
  if (found != exact.end()) {
    if (const AnyHandler* handler = found->second.find(request.method())) return *handler;
    other = &found->second;
  }
  for (const auto& [pattern, resource] : patterns) {
    std::map<std::string, std::string> values;
    if (!pattern.matches(path, values)) continue;
    const AnyHandler* handler = resource.find(request.method());
    if (handler) {
      request.match_info_ = std::move(values);
      return *handler;
    }
    if (!other) other = &resource;
  }
  for (const auto& [prefix, handler] : prefixes) {
    if (!below(path, prefix)) continue;
    if (request.method() == "GET" || request.method() == "HEAD") {
      request.match_info_["filename"] = http::detail::decoded(path.substr(prefix.size()));
      return handler;
    }
    HTTPException error(405);
    error.headers().set("Allow", "GET, HEAD");
    throw error;
  }
  if (!other) throw HTTPException(404);
  HTTPException error(405);
  error.headers().set("Allow", other->allowed());
  throw error;
}

task<Response> ApplicationState::route(Application& app, Request& request, std::string_view path) {
  request.app_ = &app;
  for (auto& [prefix, other] : applications) {
    if (!below(path, prefix)) continue;
    std::string_view rest = path.substr(prefix.size());
    if (rest.empty()) rest = "/";
    return other.state().respond(other, request, rest);
  }
  return find(request, path)(request);
}

namespace {

// The handler behind the first `left` middlewares from the inside.
Handler behind(ApplicationState& state, Application& app, std::string path, std::size_t first) {
  if (first == state.middlewares.size())
    return [&state, &app, path = std::move(path)](Request& request) -> task<Response> {
      return state.route(app, request, path);
    };
  Handler next = behind(state, app, std::move(path), first + 1);
  return [&state, first, next = std::move(next)](Request& request) -> task<Response> {
    return state.middlewares[first](request, next);
  };
}

}  // namespace

task<Response> ApplicationState::respond(Application& app, Request& request,
                                         std::string_view path) {
  if (middlewares.empty()) return route(app, request, path);
  auto with_middlewares = [](ApplicationState& state, Application& application, Request& asked,
                             std::string where) -> task<Response> {
    const Handler outermost = behind(state, application, std::move(where), 0);
    asked.app_ = &application;
    co_return co_await outermost(asked);
  };
  return with_middlewares(*this, app, request, std::string(path));
}

task<Response> ApplicationState::respond(Application& app, Request& request) {
  const std::string_view raw = request.raw_path_;
  if (raw.find('%') == std::string_view::npos) return app.state().respond(app, request, raw);
  auto with_escapes = [](Application& application, Request& asked,
                         std::string path) -> task<Response> {
    co_return co_await application.state().respond(application, asked, path);
  };
  return with_escapes(app, request, canonical(raw));
}

// --- the beginning and the end -----------------------------------------------------------------

task<void> ApplicationState::run(const std::vector<Hook>& hooks, Application& app) {
  for (const Hook& hook : hooks) co_await hook(app);
}

task<void> ApplicationState::startup(Application& app) {
  co_await run(on_startup, app);
  for (auto& [prefix, other] : applications) co_await other.state().startup(other);
}

task<void> ApplicationState::shutdown(Application& app) {
  co_await run(on_shutdown, app);
  for (auto& [prefix, other] : applications) co_await other.state().shutdown(other);
}

task<void> ApplicationState::cleanup(Application& app) {
  co_await run(on_cleanup, app);
  for (auto& [prefix, other] : applications) co_await other.state().cleanup(other);
}

}  // namespace detail

// --- Application -------------------------------------------------------------------------------

Application::Application() : state_(std::make_shared<detail::ApplicationState>()) {}

Application::Router& Application::router() noexcept { return state_->router; }

void Application::Router::add(std::string method, std::string path, detail::AnyHandler handler) {
  state_.add(std::move(method), std::move(path), std::move(handler));
}

void Application::Router::add_static(std::string prefix, std::string directory) {
  detail::check_path(prefix, "add_static");
  while (prefix.ends_with('/')) prefix.pop_back();
  auto files = detail::static_files(directory);
  state_.prefixes.emplace_back(std::move(prefix), std::move(files));
}

void Application::add_subapp(std::string prefix, Application app) {
  detail::check_path(prefix, "add_subapp");
  while (prefix.ends_with('/')) prefix.pop_back();
  if (prefix.empty())
    throw std::invalid_argument("add_subapp: the prefix '/' would take everything");
  if (app.state_ == state_) throw std::invalid_argument("add_subapp: an application below itself");
  state_->applications.emplace_back(std::move(prefix), std::move(app));
}

void Application::add_hook(Moment moment, detail::Hook hook) {
  auto& hooks = moment == Moment::startup    ? state_->on_startup
                : moment == Moment::shutdown ? state_->on_shutdown
                                             : state_->on_cleanup;
  hooks.push_back(std::move(hook));
}

void Application::add(detail::Middleware middleware) {
  state_->middlewares.push_back(std::move(middleware));
}

void Application::store(std::string key, detail::Value value) {
  state_->storage.insert_or_assign(std::move(key), std::move(value));
}

const detail::Value& Application::stored(const std::string& key) const {
  const auto found = state_->storage.find(key);
  if (found == state_->storage.end())
    throw std::out_of_range("the application has nothing by the name '" + key + "'");
  return found->second;
}

}  // namespace aio::web

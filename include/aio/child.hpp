#pragma once

// A child process of this one: what aio::Process and green::Popen share.

#include <aio/subprocess.hpp>
#include <uvlet/descriptor.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/signal.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aio::detail {

// Its exit is an event of a pidfd: neither signals nor others' children have a part in it. While it
// runs the loop keeps it, so that it is reaped also when nobody else does.
class UVLET_API Child final : public uvlet::IoRequest,
                              public uvlet::HubObserver,
                              public std::enable_shared_from_this<Child> {
 public:
  // Our ends of its pipes, by the child's number; -1 where the option was not PIPE.
  using Ends = std::array<int, 3>;
  // Of what a PIPE is made. Either way our end does not block, and the child's does.
  enum class Pipes { pipes, sockets };

  // Throws system_error with the errno if it cannot be started; then no end is open.
  static std::shared_ptr<Child> start(const std::vector<std::string>& argv,
                                      const ProcessOptions& options, Pipes made_of, Ends& ours);
  // Of a process that was started.
  Child(pid_t pid, int pidfd);
  ~Child();

  pid_t pid() const noexcept { return pid_; }
  std::optional<int> returncode() const noexcept { return returncode_; }
  // Whether it has exited by now.
  std::optional<int> poll() noexcept;
  task<int> wait();
  // Gives the errno: ESRCH once it has exited.
  int send_signal(int number) noexcept;

 private:
  bool attempt() noexcept override;
  void complete() noexcept override;
  void hub_ended() noexcept override;
  std::string subject() const override { return "process " + std::to_string(pid_) + ": exit"; }

  uvlet::Descriptor pidfd_;
  pid_t pid_;
  std::uint64_t born_after_;  // so many forks: in a later child it is no child of ours
  std::optional<int> returncode_;
  std::shared_ptr<Child> running_;  // itself
  uvlet::Signal exited_{"a process to exit"};
};

}  // namespace aio::detail

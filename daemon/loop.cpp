// SPDX-License-Identifier: Apache-2.0
#include "loop.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <set>

#include "access.h"
#include "application_sockets.h"
#include "into.h"
#include "log.h"
#include "service.h"
#include "session.h"

namespace ipvlanx::daemon {

namespace asio = boost::asio;

namespace {

using ErrorCode = boost::system::error_code;

// Asio closes the descriptors it is given; ours have owners.
int duplicate(int fd) {
  return ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

}  // namespace

class Loop::Impl {
 public:
  Impl(const Listener& listener, LinkMonitor& monitor, Controller& controller, Routes& routes,
       EventFeed& feed, Documents& documents, std::function<void()> reload, const std::string& applications)
      : monitor_(monitor),
        controller_(controller),
        routes_(routes),
        feed_(feed),
        documents_(documents),
        reload_(std::move(reload)),
        signals_(context_, SIGINT, SIGTERM, SIGHUP),
        acceptor_(context_, asio::local::stream_protocol{}, duplicate(listener.fd())),
        notices_(context_, duplicate(monitor.fd())),
        applications_(context_, controller, applications) {
    if (auto opened = applications_.open(); !opened) log_trouble(opened.error());
    controller_.events().on_event([this](const LoggedEvent& event) { applications_.follow(event.event); });
    controller_.events().run_by(
        [this](std::function<void()> tell) { asio::post(context_, std::move(tell)); });
    controller_.on_announcement([this] {
      asio::post(context_, [this] {
        something_to_announce_ = true;
        announcing_.cancel();
      });
    });
  }
  ~Impl() {
    controller_.events().run_by([](const std::function<void()>& tell) { tell(); });
    controller_.on_announcement([] {});
  }

  void run() {
    start(follow_signals());
    start(accept_connections());
    start(follow_the_kernel());
    start(announce());
    start(apply_documents());
    start(show_life());
    start(tell_unsaid());
    context_.run();
    log_unsaid();
  }

 private:
  void start(asio::awaitable<void> task) {
    asio::co_spawn(context_, std::move(task), [](std::exception_ptr bug) {
      if (bug) std::rethrow_exception(bug);  // none of them throws: let the supervisor restart us
    });
  }

  asio::awaitable<void> follow_signals() {
    ErrorCode error;
    int signal = co_await signals_.async_wait(into(error));
    while (signal == SIGHUP) {
      co_await worker_.run([this] { reload_(); });
      signal = co_await signals_.async_wait(into(error));
    }
    log_info(fmt::format("ends on signal {}", signal));
    announce_end();
    acceptor_.close(error);
    notices_.close(error);
    pause_.cancel();
    announcing_.cancel();
    applying_.cancel();
    showing_life_.cancel();
    telling_unsaid_.cancel();
    applications_.close();
    stopping_ = true;
    for (Session* session : std::set{sessions_}) session->close();
  }

  asio::awaitable<void> accept_connections() {
    while (!stopping_) {
      ErrorCode error;
      Session::Socket socket = co_await acceptor_.async_accept(into(error));
      if (stopping_) co_return;
      if (error) {
        // Out of descriptors or memory: the connection stays in the queue.
        log_trouble({Errc::kernel_refused, fmt::format("accept: {}", error.message())});
        co_await pause();
      } else if (has_room_for(socket)) {
        full_ = full_ && !has_room_for_all();
        start(serve(std::move(socket)));
      } else if (!std::exchange(full_, true)) {
        log_warning(fmt::format("{} connections: more are closed at once", sessions_.size()));
      }
    }
  }

  bool has_room_for_all() const { return sessions_.size() < kMostSessions - kRootsSessions; }
  bool has_room_for(Session::Socket& socket) const {
    if (has_room_for_all()) return true;
    return sessions_.size() < kMostSessions && peer_of(socket.native_handle()).uid == 0;
  }

  asio::awaitable<void> serve(Session::Socket socket) {
    if (stopping_) co_return;
    Session session{std::move(socket), routes_, feed_, worker_};
    sessions_.insert(&session);
    co_await session.run();
    sessions_.erase(&session);
  }

  asio::awaitable<void> follow_the_kernel() {
    while (!stopping_) {
      ErrorCode error;
      co_await notices_.async_wait(asio::posix::stream_descriptor::wait_read, into(error));
      if (stopping_) co_return;
      const auto heard = co_await worker_.run([this] { return hear(); });
      if (heard) continue;
      log_trouble(heard.error());
      co_await pause();
      co_await worker_.run([this] { follow({.lost = true}); });
    }
  }

  // In the worker's thread.
  Result<void> hear() {
    const auto notices = monitor_.read();
    if (!notices) return std::unexpected(notices.error());
    follow(*notices);
    return {};
  }
  void follow(const Notices& notices) {
    for (const Error& error : controller_.follow(notices)) log_trouble(error);
  }

  asio::awaitable<void> announce() {
    while (!stopping_) {
      something_to_announce_ = false;
      const auto next = co_await worker_.run([this] { return announce_due(); });
      if (something_to_announce_ || stopping_) continue;
      ErrorCode woken;
      announcing_.expires_at(next.value_or(Announcements::Time::max()));
      co_await announcing_.async_wait(into(woken));
    }
  }

  // There are few, and not for long: asking is simpler than telling which notice is about them.
  asio::awaitable<void> apply_documents() {
    while (documents_.waiting() && !stopping_) {
      ErrorCode ended;
      applying_.expires_after(std::chrono::seconds{1});
      co_await applying_.async_wait(into(ended));
      if (stopping_) co_return;
      co_await worker_.run([this] { documents_.apply(); });
    }
  }

  // From here and from nowhere else: a loop that is stuck falls silent, and so does one whose
  // worker is.
  asio::awaitable<void> show_life() {
    const auto interval = watchdog_interval();
    while (interval && !stopping_) {
      co_await worker_.run([] {});
      if (stopping_) co_return;
      announce_life();
      ErrorCode cancelled;
      showing_life_.expires_after(*interval);
      co_await showing_life_.async_wait(into(cancelled));
    }
  }

  asio::awaitable<void> tell_unsaid() {
    while (!stopping_) {
      ErrorCode ended;
      telling_unsaid_.expires_after(std::chrono::minutes{1});
      co_await telling_unsaid_.async_wait(into(ended));
      if (!stopping_) log_unsaid();
    }
  }

  // In the worker's thread. When to do it again.
  std::optional<Announcements::Time> announce_due() {
    for (const Error& error : controller_.announce(Announcements::Time::clock::now())) {
      log_trouble(error);
    }
    return controller_.next_announcement();
  }

  // What just failed will fail again at once: do not spin.
  asio::awaitable<void> pause() {
    ErrorCode cancelled;
    pause_.expires_after(std::chrono::seconds{1});
    co_await pause_.async_wait(into(cancelled));
  }

  LinkMonitor& monitor_;
  Controller& controller_;
  Routes& routes_;
  EventFeed& feed_;
  Documents& documents_;
  std::function<void()> reload_;

  asio::io_context context_{1};
  Worker worker_;
  asio::signal_set signals_;
  asio::local::stream_protocol::acceptor acceptor_;
  asio::posix::stream_descriptor notices_;
  ApplicationSockets applications_;
  asio::steady_timer pause_{context_};
  asio::steady_timer announcing_{context_};
  asio::steady_timer applying_{context_};
  asio::steady_timer showing_life_{context_};
  asio::steady_timer telling_unsaid_{context_};
  bool something_to_announce_ = false;
  std::set<Session*> sessions_;
  bool full_ = false;  // has been said
  bool stopping_ = false;
};

Loop::Loop(const Listener& listener, LinkMonitor& monitor, Controller& controller, Routes& routes,
           EventFeed& feed, Documents& documents, std::function<void()> reload,
           const std::string& applications)
    : impl_(std::make_unique<Impl>(listener, monitor, controller, routes, feed, documents, std::move(reload),
                                   applications)) {
}

Loop::~Loop() = default;

void Loop::run() {
  impl_->run();
}

}  // namespace ipvlanx::daemon

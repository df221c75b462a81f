// SPDX-License-Identifier: Apache-2.0
// Events, one line of JSON each, in an answer that does not end.
#include <fmt/format.h>

#include <chrono>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "ipvlanx/api/problem.h"
#include "ipvlanx/client.h"
#include "target.h"
#include "wire.h"

namespace ipvlanx {

using Clock = std::chrono::steady_clock;

class EventStream::Reader {
 public:
  Reader(std::string path, std::optional<std::uint64_t> since) : connection_(std::move(path)), last_(since) {}

  std::optional<std::uint64_t> last() const { return last_; }

  Result<void> begin() {
    answer_.emplace();
    auto done = connection_.begin(wire::question(wire::http::verb::get, target::events(last_)), *answer_);
    if (done && answer_->get().result() != wire::http::status::ok) done = refused();
    if (!done) answer_.reset();
    return done;
  }

  Result<std::optional<api::EventReply>> next(std::chrono::milliseconds patience) {
    const auto end = Clock::now() + patience;
    while (true) {
      if (const auto line = take_line()) return read(*line);
      if (!answer_) {
        if (auto begun = begin(); !begun) return std::unexpected(begun.error());
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
      if (left.count() <= 0) return std::nullopt;
      if (auto more = connection_.read_some(*answer_, left); !more) {
        answer_.reset();
        return std::unexpected(more.error());
      }
      keep_lines();
    }
  }

 private:
  // Why there are no events.
  Result<void> refused() {
    while (!answer_->is_done()) {
      if (!connection_.read_some(*answer_, wire::kPatience)) break;
    }
    return std::unexpected(api::read_problem(answer_->get().body(), answer_->get().result_int()));
  }

  // Those that are whole.
  void keep_lines() {
    std::string& text = answer_->get().body();
    std::size_t begin = 0;
    for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', begin)) {
      lines_.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
  }

  std::optional<std::string> take_line() {
    if (lines_.empty()) return std::nullopt;
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }

  Result<std::optional<api::EventReply>> read(const std::string& line) {
    try {
      auto event = nlohmann::json::parse(line).get<api::EventReply>();
      last_ = event.seq;
      return event;
    } catch (const nlohmann::json::exception& problem) {
      return fail(Errc::bad_json,
                  fmt::format("an event of the daemon is not understood: {}", problem.what()));
    }
  }

  wire::Connection connection_;
  std::optional<wire::Parser> answer_;  // none: not begun, or ended
  std::deque<std::string> lines_;       // not given yet
  std::optional<std::uint64_t> last_;
};

EventStream::EventStream(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {
}
EventStream::EventStream(EventStream&&) noexcept = default;
EventStream& EventStream::operator=(EventStream&&) noexcept = default;
EventStream::~EventStream() = default;

Result<EventStream> EventStream::open(std::string path, std::optional<std::uint64_t> since) {
  auto reader = std::make_unique<Reader>(std::move(path), since);
  if (auto begun = reader->begin(); !begun) return std::unexpected(begun.error());
  return EventStream{std::move(reader)};
}

Result<std::optional<api::EventReply>> EventStream::next(std::chrono::milliseconds patience) {
  return reader_->next(patience);
}

std::optional<std::uint64_t> EventStream::last() const {
  return reader_->last();
}

}  // namespace ipvlanx

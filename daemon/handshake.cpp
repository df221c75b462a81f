// SPDX-License-Identifier: Apache-2.0
#include "handshake.h"

#include <fmt/format.h>

#include "ipvlanx/base/number.h"

namespace ipvlanx::daemon {

namespace {

// Up to the separator, which goes as well; all of it where there is none.
std::string_view take(std::string_view& text, char separator) {
  const std::string_view head = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), head.size() + 1));
  return head;
}

std::string_view stripped(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// Both have bounds in the kernel (sk_setsockopt(): SO_BUSY_POLL, SO_BUSY_POLL_BUDGET).
std::optional<std::uint32_t> number_in(std::string_view text, std::uint32_t most) {
  const auto value = whole_number<std::uint32_t>(text);
  return value && *value <= most ? value : std::nullopt;
}

Answer busy_poll(std::string_view words) {
  constexpr std::uint32_t kMostTimeout = 1'000'000;
  constexpr std::uint32_t kMostBudget = 0xffff;
  const auto timeout = number_in(take(words, ','), kMostTimeout);
  const auto budget = number_in(words, kMostBudget);
  if (!timeout || !budget) return {.text = std::string{kBusyPollRefused}};
  return {.text = "/config_busy_poll_ack", .busy_poll = BusyPoll{*timeout, *budget}};
}

}  // namespace

Answer Handshake::answer(std::string_view message) {
  std::string_view words = message;
  const std::string_view verb = take(words, ',');
  if (verb == "/connect") {
    // Who it is says where it calls from, not the host name that it gives.
    if (!admitted_) return {.text = "/host_nak", .ends = true};
    connected_ = true;
    return {.text = "/host_ok"};
  }
  if (verb == "/fin") return {.text = "/fin_ack", .ends = true};
  if (verb == "/version") return {.text = "0.1"};
  const bool asks_for_socket = verb == "/x_socket" && master_;
  if (verb != "/xsk_map_fd" && verb != "/config_busy_poll" && !asks_for_socket) return {.text = "/nak"};
  if (!connected_) return {.text = std::string{kHandshakeError}, .ends = true};
  if (verb == "/config_busy_poll") return busy_poll(words);
  if (asks_for_socket) {
    return {.text = fmt::format("/fd_ack,{}", number(*master_)), .with = Answer::With::socket};
  }
  if (stripped(words) != interface_) return {.text = std::string{kHandshakeError}, .ends = true};
  return {.text = "/fd_ack", .with = Answer::With::map};
}

}  // namespace ipvlanx::daemon

// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace ipvlanx::xsk {

namespace {

using Json = nlohmann::ordered_json;

struct Drop {
  const char* name;  // as in struct xdp_statistics
  const char* meaning;
  __u64 xdp_statistics::* count;
  bool is_frame = true;
};
constexpr Drop kDrops[] = {
    {"rx_dropped", "too long for a chunk, or no chunk was free", &xdp_statistics::rx_dropped},
    {"rx_ring_full", "the RX ring was full: this program was too slow", &xdp_statistics::rx_ring_full},
    {"tx_invalid", "the kernel refused to send them", &xdp_statistics::tx_invalid_descs},
    // Where the kernel copies, each of these is in rx_dropped, too.
    {"rx_fill_ring_empty", "times that no chunk was free", &xdp_statistics::rx_fill_ring_empty_descs, false},
    {"rx_invalid", "chunks that the kernel refused", &xdp_statistics::rx_invalid_descs, false},
};

constexpr const char* kHeard[] = {"arp", "neighbour", "ping", "udp", "bad_checksum", "ignored"};
static_assert(std::size(kHeard) == kKindsHeard);

// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::uint64_t dropped(const Tally& tally) {
  std::uint64_t sum = 0;
  for (const auto& drop : kDrops) {
    if (drop.is_frame) sum += tally.kernel.*drop.count;
  }
  return sum;
}

std::uint64_t per_second(std::uint64_t count, std::chrono::duration<double> time) {
  return time.count() > 0 ? static_cast<std::uint64_t>(static_cast<double>(count) / time.count()) : 0;
}

std::string traffic_text(const char* verb, const Traffic& traffic, std::chrono::duration<double> time) {
  return fmt::format("  {:<9}{:>15} packets {:>18} bytes {:>15} packets/s\n", verb, grouped(traffic.packets),
                     grouped(traffic.bytes), grouped(per_second(traffic.packets, time)));
}

Json traffic_json(const Traffic& traffic) {
  return {{"packets", traffic.packets}, {"bytes", traffic.bytes}};
}

}  // namespace

Result<Report> report_of(std::span<const std::unique_ptr<XskSocket>> sockets,
                         std::chrono::duration<double> time, const HeardCounts* heard) {
  Report report{.time = time, .heard = heard};
  for (const auto& socket : sockets) {
    const auto statistics = socket->statistics();
    if (!statistics) return std::unexpected(statistics.error());
    report.sockets.push_back({.interface = socket->interface().name,
                              .queue = socket->queue(),
                              .received = socket->received(),
                              .sent = socket->sent(),
                              .kernel = *statistics});
  }
  return report;
}

std::string progress_text(const Report& now, const Report& before) {
  std::string text = fmt::format("{:.0f} s", now.time.count());
  for (std::size_t i = 0; i < now.sockets.size(); ++i) {
    const Tally &after = now.sockets[i], &earlier = before.sockets[i];
    const auto time = now.time - before.time;
    text += fmt::format("  {}: received {}/s, sent {}/s, dropped {}", after.interface,
                        grouped(per_second(after.received.packets - earlier.received.packets, time)),
                        grouped(per_second(after.sent.packets - earlier.sent.packets, time)),
                        grouped(dropped(after) - dropped(earlier)));
  }
  return text + '\n';
}

std::string summary_text(const Report& report) {
  std::string text;
  for (const auto& each : report.sockets) {
    text += fmt::format("{} queue {}, {:.1f} s\n", each.interface, each.queue, report.time.count());
    text += traffic_text("received", each.received, report.time);
    text += traffic_text("sent", each.sent, report.time);
    text += fmt::format("  {:<9}{:>15} packets\n", "dropped", grouped(dropped(each)));
    for (const auto& drop : kDrops) {
      const auto count = each.kernel.*drop.count;
      if (count > 0) text += fmt::format("  {:>24} {} ({})\n", grouped(count), drop.name, drop.meaning);
    }
  }
  if (report.heard) {
    text += "  heard   ";
    for (std::size_t i = 0; i < kKindsHeard; ++i) {
      text += fmt::format(" {} {}", grouped((*report.heard)[i]), kHeard[i]);
    }
    text += '\n';
  }
  return text;
}

std::string as_json(const Report& report, bool final) {
  Json out{{"final", final}, {"seconds", report.time.count()}, {"sockets", Json::array()}};
  for (const auto& each : report.sockets) {
    Json drops = Json::object();
    for (const auto& drop : kDrops) drops[drop.name] = each.kernel.*drop.count;
    out["sockets"].push_back({{"interface", each.interface},
                              {"queue", each.queue},
                              {"rx", traffic_json(each.received)},
                              {"tx", traffic_json(each.sent)},
                              {"drops", std::move(drops)}});
  }
  if (report.heard) {
    for (std::size_t i = 0; i < kKindsHeard; ++i) out["heard"][kHeard[i]] = (*report.heard)[i];
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace ipvlanx::xsk

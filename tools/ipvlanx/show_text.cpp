// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ipvlanx/base/printable.h"
#include "show.h"
#include "table.h"

namespace ipvlanx::cli::text {

namespace {

std::string netns(const api::SlaveReply& slave) {
  return slave.netns ? printable(*slave.netns) : "-";
}

// 3: ipvl0@m0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP netns ns0 id 1
//     link/ether 02:00:00:00:00:01 ipvlan mode l2 bridge via veth addr-policy learn max-addresses 64
//     inet 10.0.0.5/24 learnt active
std::string link(const api::SlaveReply& slave) {
  std::string out =
      fmt::format("{}: {}@{}: <{}> mtu {} state {}", slave.ifindex ? fmt::to_string(*slave.ifindex) : "?",
                  printable(slave.name), printable(slave.master), fmt::join(flags_of(slave), ","), slave.mtu,
                  slave.up ? "UP" : "DOWN");
  if (slave.netns) out += fmt::format(" netns {}", printable(*slave.netns));
  out += fmt::format(" id {}\n", slave.id);

  out += fmt::format("    link/ether {} ipvlan mode {} {} via {} addr-policy {} max-addresses {}\n",
                     slave.mac, slave.mode, slave.flag, slave.via, slave.addr_policy, slave.max_addresses);
  for (const auto& address : slave.addresses) {
    out += fmt::format("    {} {} {} {}\n", parts_of(address).family, address.address, address.origin,
                       address.state);
  }
  return out;
}

//     RX:  bytes  packets  mcast  dropped
//           3267       29      0        0
std::string traffic(std::string_view direction, const api::TrafficReply& traffic) {
  return table({{direction},
                {"bytes", Side::right},
                {"packets", Side::right},
                {"mcast", Side::right},
                {"dropped", Side::right}},
               {{"", fmt::to_string(traffic.bytes), fmt::to_string(traffic.packets),
                 fmt::to_string(traffic.multicast), fmt::to_string(traffic.dropped)}},
               "    ");
}

// "truncated 3, pause 1": only what happened.
std::string reasons(const api::StatsReply& stats) {
  std::string out;
  for (const auto& [reason, packets] : stats.drops) {
    if (packets > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", printable(reason), packets);
  }
  return out;
}

using Rows = std::vector<std::vector<std::string>>;

// Dev, netns, reason, packets.
Rows rows_of(const api::DropsReply& drops) {
  Rows rows;
  const auto add = [&](const std::string& dev, const std::string& netns,
                       const std::map<std::string, std::uint64_t>& reasons) {
    for (const auto& [reason, packets] : reasons) {
      rows.push_back({dev, netns, printable(reason), fmt::to_string(packets)});
    }
  };
  add("-", "-", drops.host);
  for (const auto& slave : drops.slaves) {
    add(printable(slave.name), slave.netns ? printable(*slave.netns) : "-", slave.drops);
  }
  return rows;
}

}  // namespace

std::string links(const ShownSlaves& slaves) {
  std::string out;
  for (const auto& [slave, stats] : slaves) {
    out += link(slave);
    if (stats) out += traffic("RX:", stats->rx) + traffic("TX:", stats->tx);
  }
  return out;
}

std::string addresses(const ShownSlaves& slaves) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [slave, stats] : slaves) {
    for (const auto& address : slave.addresses) {
      rows.push_back({printable(slave.name), netns(slave), address.address, address.origin, address.state});
    }
  }
  return table({{"DEV"}, {"NETNS"}, {"ADDRESS"}, {"ORIGIN"}, {"STATE"}}, rows);
}

std::string ports(const ShownPorts& ports) {
  std::string out;
  for (const auto& port : ports) {
    out += fmt::format("{}: {}: mtu {} slaves {}\n    link/ether {} ipvlan mode {} {}{}{}\n",
                       port.ifindex ? fmt::to_string(*port.ifindex) : "?", printable(port.master), port.mtu,
                       port.slaves, port.mac, port.mode, port.flag,
                       port.options.strict_private ? " strict-private on" : "",
                       port.options.announce ? "" : " announce off");
    if (port.xdp.wanted == "auto" && port.xdp.attached == "off" && !port.xdp.why) continue;
    out += fmt::format("    xdp wanted {} attached {}{}\n", port.xdp.wanted, port.xdp.attached,
                       port.xdp.why ? fmt::format(" ({})", printable(*port.xdp.why)) : "");
  }
  return out;
}

std::string stats(const ShownSlaves& slaves) {
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](const api::SlaveReply& slave, std::string_view direction,
                       const api::TrafficReply& traffic, std::string why) {
    rows.push_back({printable(slave.name), netns(slave), std::string{direction},
                    fmt::to_string(traffic.packets), fmt::to_string(traffic.bytes),
                    fmt::to_string(traffic.multicast), fmt::to_string(traffic.dropped), std::move(why)});
  };
  for (const auto& [slave, stats] : slaves) {
    if (!stats) continue;
    // The reasons are the slave's, of both directions: said once.
    row(slave, "rx", stats->rx, reasons(*stats));
    row(slave, "tx", stats->tx, "");
  }
  return table({{"DEV"},
                {"NETNS"},
                {"DIR"},
                {"PACKETS", Side::right},
                {"BYTES", Side::right},
                {"MULTICAST", Side::right},
                {"DROPPED", Side::right},
                {"DROPS BY REASON"}},
               rows);
}

std::string drops(const api::DropsReply& drops) {
  return table({{"DEV"}, {"NETNS"}, {"REASON"}, {"PACKETS", Side::right}}, rows_of(drops));
}

std::string dropped(const api::DropsReply& drops) {
  std::string out;
  for (const auto& row : rows_of(drops)) out += fmt::format("{}\n", fmt::join(row, " "));
  return out;
}

// slave web0 id 7 netns ns0: slave 'web0' gets it
std::string trace(const api::TraceReply& trace) {
  std::string out = printable(trace.verdict);
  if (trace.slave) {
    out += fmt::format(" {} id {}", printable(trace.slave->name), trace.slave->id);
    if (trace.slave->netns) out += fmt::format(" netns {}", printable(*trace.slave->netns));
  }
  if (trace.reason) out += fmt::format(" {}", printable(*trace.reason));
  if (trace.copies > 0) out += fmt::format(" copies {}", trace.copies);
  out += fmt::format(": {}\n    frame {}\n", printable(trace.detail), printable(trace.before));
  if (trace.after != trace.before) out += fmt::format("    after {}\n", printable(trace.after));
  return out;
}

std::string findings(const std::vector<Finding>& findings) {
  std::vector<std::vector<std::string>> rows;
  for (const Finding& finding : findings) {
    rows.push_back({finding.id, std::string{to_string(finding.state)}, printable(finding.detail)});
  }
  return table({{"CHECK"}, {"STATE"}, {"DETAIL"}}, rows);
}

// 12: address-conflict slave 2 db0 on eth0 10.0.0.5 owned by slave 1
std::string event(const api::EventReply& event) {
  std::string out = fmt::format("{}: {}", event.seq, printable(event.type));
  if (event.slave) out += fmt::format(" slave {} {}", *event.slave, printable(event.name));
  if (!event.master.empty()) out += fmt::format(" on {}", printable(event.master));
  if (!event.address.empty()) out += fmt::format(" {}", printable(event.address));
  if (event.owner) out += fmt::format(" owned by slave {}", *event.owner);
  if (!event.detail.empty()) out += fmt::format(": {}", printable(event.detail));
  return out + "\n";
}

std::string reloaded(const api::ReloadedReply& reloaded) {
  std::string out;
  for (const auto& key : reloaded.changed) out += fmt::format("changed: {}\n", printable(key));
  for (const auto& key : reloaded.needs_restart) out += fmt::format("needs a restart: {}\n", printable(key));
  return out;
}

std::string version(const api::VersionReply& version) {
  return fmt::format("ipvlanx {}, API {}, kernel {}\n", version.version, version.api, version.kernel);
}

}  // namespace ipvlanx::cli::text

// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <fmt/format.h>

#include <vector>

namespace ipvlanx::daemon {

namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// JSON's quoting is Prometheus' for what a label of ours may contain: no control characters.
std::string quoted(const std::string& text) {
  return api::to_text(nlohmann::json(text));
}

class Text {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }

  template <class Number>
  void sample(const Labels& labels, Number value, std::string_view suffix = "") {
    out_ += fmt::format("{}{}", name_, suffix);
    char before = '{';
    for (const auto& [label, text] : labels) {
      out_ += fmt::format("{}{}={}", before, label, quoted(text));
      before = ',';
    }
    out_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
  }

  std::string take() { return std::move(out_); }

 private:
  std::string_view name_;
  std::string out_;
};

struct Family {
  std::string_view name;
  std::string_view help;
  std::uint64_t Traffic::* counter;
  Traffic SlaveStats::* direction;
};

constexpr Family kTraffic[] = {
    {"ipvlanx_slave_receive_packets_total", "Packets that reached the slave.", &Traffic::packets,
     &SlaveStats::rx},
    {"ipvlanx_slave_receive_bytes_total", "Bytes of frames that reached the slave.", &Traffic::bytes,
     &SlaveStats::rx},
    {"ipvlanx_slave_receive_multicast_packets_total", "Of the packets: broadcast and multicast.",
     &Traffic::multicast, &SlaveStats::rx},
    {"ipvlanx_slave_receive_dropped_packets_total", "Packets for the slave that were dropped.",
     &Traffic::dropped, &SlaveStats::rx},
    {"ipvlanx_slave_transmit_packets_total", "Packets that came from the slave.", &Traffic::packets,
     &SlaveStats::tx},
    {"ipvlanx_slave_transmit_bytes_total", "Bytes of frames that came from the slave.", &Traffic::bytes,
     &SlaveStats::tx},
    {"ipvlanx_slave_transmit_multicast_packets_total", "Of the packets: broadcast and multicast.",
     &Traffic::multicast, &SlaveStats::tx},
    {"ipvlanx_slave_transmit_dropped_packets_total", "Packets of the slave that were dropped.",
     &Traffic::dropped, &SlaveStats::tx},
};

// Names alone are not unique: two namespaces may have the same one.
Labels labels_of(const State& state, const Slave& slave) {
  Labels labels{{"id", fmt::to_string(number(slave.id))}, {"slave", slave.name.str()}};
  if (const Port* port = state.port(slave.master)) {
    labels.emplace_back("master", port->name.str());
    labels.emplace_back("mode", std::string{to_string(port->mode)});
  }
  return labels;
}

void add_slaves(Text& text, const State& state, const AllStats& all) {
  std::vector<std::pair<Labels, const SlaveStats*>> slaves;
  for (const auto& [id, stats] : all.slaves) {
    if (const Slave* slave = state.slave(id)) slaves.emplace_back(labels_of(state, *slave), &stats);
  }
  for (const Family& family : kTraffic) {
    text.family(family.name, "counter", family.help);
    for (const auto& [labels, stats] : slaves) text.sample(labels, stats->*family.direction.*family.counter);
  }

  text.family("ipvlanx_drop_packets_total", "counter",
              "Dropped packets by reason: of a slave, or where no slave is to blame without its labels.");
  const auto add = [&](const Labels& whose, const std::map<std::string, std::uint64_t>& drops) {
    for (const auto& [reason, packets] : drops) {
      Labels labels{{"reason", reason}};
      labels.insert(labels.end(), whose.begin(), whose.end());
      text.sample(labels, packets);
    }
  };
  add({}, all.drops);
  for (const auto& [labels, stats] : slaves) add(labels, stats->drops);
}

void add_requests(Text& text, const RequestTimes& times) {
  text.family("ipvlanx_api_request_duration_seconds", "histogram",
              "How long requests took, from their arrival to their reply.");
  for (const auto& [route, histogram] : times.by_route()) {
    const Labels whose{{"method", std::string{route.first}}, {"route", std::string{route.second}}};
    const auto bucket = [&](std::string most, std::uint64_t count) {
      Labels labels = whose;
      labels.emplace_back("le", std::move(most));
      text.sample(labels, count, "_bucket");
    };
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < RequestTimes::kBuckets.size(); ++i) {
      count += histogram.counts[i];
      bucket(fmt::to_string(RequestTimes::kBuckets[i]), count);
    }
    bucket("+Inf", histogram.count);
    text.sample(whose, histogram.sum, "_sum");
    text.sample(whose, histogram.count, "_count");
  }
}

}  // namespace

void RequestTimes::add(const Route& route, std::chrono::duration<double> time) {
  const std::lock_guard alone{mutex_};
  Histogram& histogram = by_route_[route];
  for (std::size_t i = 0; i < kBuckets.size(); ++i) {
    if (time.count() > kBuckets[i]) continue;
    ++histogram.counts[i];
    break;
  }
  ++histogram.count;
  histogram.sum += time.count();
}

std::map<RequestTimes::Route, RequestTimes::Histogram> RequestTimes::by_route() const {
  const std::lock_guard alone{mutex_};
  return by_route_;
}

std::string metrics(const api::VersionReply& version, const State& state, const AllStats& all,
                    const RequestTimes& times) {
  Text text;
  text.family("ipvlanx_build_info", "gauge", "Which ipvlanx this is, and the kernel it runs on.");
  text.sample({{"version", version.version}, {"kernel", version.kernel}}, 1);

  text.family("ipvlanx_slaves", "gauge", "Slaves of the port.");
  for (const auto& [master, port] : state.ports()) {
    text.sample({{"master", port.name.str()}, {"mode", std::string{to_string(port.mode)}}},
                state.count_slaves(master));
  }
  add_slaves(text, state, all);

  text.family("ipvlanx_map_entries", "gauge", "Entries in use of a table of the data path.");
  for (const MapUse& map : all.maps) text.sample({{"map", map.name}}, map.entries);
  text.family("ipvlanx_map_max_entries", "gauge", "Entries a table of the data path can have.");
  for (const MapUse& map : all.maps) text.sample({{"map", map.name}}, map.most);

  add_requests(text, times);
  return text.take();
}

}  // namespace ipvlanx::daemon

// SPDX-License-Identifier: Apache-2.0
#include "host_settings.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>
#include <tuple>

#include "ipvlanx/base/boot_id.h"
#include "ipvlanx/base/files.h"
#include "link_changes.h"
#include "link_facts.h"

namespace ipvlanx {

namespace {

constexpr IfIndex kEverywhere{};
const Sysctl kForwardIpv6Everywhere{Family::ipv6, kEverywhere, "forwarding"};

// No sysctl, but remembered and given back like one: an interface's IFF_ALLMULTI.
constexpr Family kOfNoFamily{};
Sysctl all_multicast(IfIndex master) {
  return {kOfNoFamily, master, "allmulti"};
}

// 6.17: forwards from one interface, and changes nothing else about it.
bool has_force_forwarding() {
  return has_sysctl({Family::ipv6, kEverywhere, "force_forwarding"});
}

bool has_ipv6() {
  return has_sysctl(kForwardIpv6Everywhere);
}

Result<int> read_everywhere(Sysctl sysctl) {
  if (sysctl.family == kOfNoFamily) return 0;
  sysctl.interface = kEverywhere;
  const auto value = read_sysctl(sysctl);
  if (!value) return std::unexpected(value.error());
  return value->value_or(0);
}

std::vector<Sysctl> wanted_by(const std::map<IfIndex, Mode>& ports) {
  std::vector<Sysctl> wanted;
  for (const auto& [master, mode] : ports) {
    if (mode == Mode::l2) wanted.push_back(all_multicast(master));
    if (mode != Mode::l3s) continue;
    wanted.push_back({Family::ipv4, master, "forwarding"});
    if (has_force_forwarding()) wanted.push_back({Family::ipv6, master, "force_forwarding"});
  }
  const bool routes = std::ranges::any_of(ports, [](const auto& port) { return port.second != Mode::l2; });
  if (routes && has_ipv6() && !has_force_forwarding()) wanted.push_back(kForwardIpv6Everywhere);
  return wanted;
}

std::vector<IfIndex> all_interfaces() {
  std::vector<IfIndex> all;
  struct Free {
    void operator()(struct if_nameindex* list) const { ::if_freenameindex(list); }
  };
  const std::unique_ptr<struct if_nameindex, Free> list{::if_nameindex()};
  for (const auto* one = list.get(); one && one->if_index != 0; ++one) all.push_back(IfIndex{one->if_index});
  return all;
}

}  // namespace

Result<void> HostSettings::open() {
  auto boot_id = ipvlanx::boot_id();
  if (!boot_id) return std::unexpected(boot_id.error());
  boot_id_ = *std::move(boot_id);
  std::ifstream file{record_};
  std::string id;
  if (!std::getline(file, id) || id != boot_id_) return {};
  unsigned family = 0;
  unsigned interface = 0;
  Change change;
  while (file >> family >> interface >> change.sysctl.name >> change.before >> change.ours >>
         change.everywhere >> change.settled) {
    change.sysctl.family = static_cast<Family>(family);
    change.sysctl.interface = IfIndex{interface};
    const auto now = read(change.sysctl);
    if (!now) return std::unexpected(now.error());
    // The daemon before us may have been killed after it gave this back, or before it made it.
    if (!change.settled && *now != change.ours) continue;
    change.settled = true;
    changes_.push_back(change);
  }
  return {};
}

Result<void> HostSettings::serve(const std::map<IfIndex, Mode>& ports) {
  const auto wanted = wanted_by(ports);
  const auto wants = [&](const Sysctl& sysctl) { return std::ranges::find(wanted, sysctl) != wanted.end(); };
  // What was changed because IPv6 is forwarded everywhere goes with that.
  const auto stays = [&](const Change& change) {
    return wants(change.sysctl) || (change.sysctl.name != "force_forwarding" &&
                                    change.sysctl.family == Family::ipv6 && wants(kForwardIpv6Everywhere));
  };
  bool any_goes = false;
  for (std::size_t i = changes_.size(); i-- > 0;) {
    if (stays(changes_[i])) continue;
    any_goes = true;
    if (auto done = undo(changes_[i]); !done) return done;
    changes_.erase(changes_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (any_goes) {
    if (auto saved = save(); !saved) return saved;
  }

  for (const Sysctl& sysctl : wanted) {
    if (is_made(sysctl)) continue;
    const auto now = read(sysctl);
    if (!now) return std::unexpected(now.error());
    if (now->value_or(1) == 1) continue;
    if (sysctl == kForwardIpv6Everywhere) {
      if (auto done = prepare_for_forwarding_ipv6_everywhere(); !done) return done;
    }
    if (auto done = make(sysctl, 1); !done) return done;
  }
  return {};
}

bool HostSettings::is_made(const Sysctl& sysctl) const {
  return std::ranges::find(changes_, sysctl, &Change::sysctl) != changes_.end();
}

Result<void> HostSettings::make(const Sysctl& sysctl, int value) {
  const auto before = read(sysctl);
  if (!before) return std::unexpected(before.error());
  const auto everywhere = read_everywhere(sysctl);
  if (!everywhere) return std::unexpected(everywhere.error());
  changes_.push_back(
      {.sysctl = sysctl, .before = before->value_or(value), .ours = value, .everywhere = *everywhere});
  auto done = save();
  if (done) done = write(sysctl, value);
  if (done) {
    changes_.back().settled = true;
    done = save();
  }
  if (!done) {
    std::ignore = write(sysctl, changes_.back().before);
    changes_.pop_back();
    std::ignore = save();  // it may say more than is true
  }
  return done;
}

// The switch turns each interface's `forwarding` with it, there and back; and an
// interface that forwards listens to router advertisements only when accept_ra is 2.
Result<void> HostSettings::prepare_for_forwarding_ipv6_everywhere() {
  for (const IfIndex interface : all_interfaces()) {
    const Sysctl forwarding{Family::ipv6, interface, "forwarding"};
    const auto forwards = read_sysctl(forwarding);
    if (!forwards) return std::unexpected(forwards.error());
    if (*forwards == 1) {
      changes_.push_back({.sysctl = forwarding, .before = 1, .ours = 1, .everywhere = 0, .settled = true});
      continue;
    }
    const Sysctl accept_ra{Family::ipv6, interface, "accept_ra"};
    const auto listens = read_sysctl(accept_ra);
    if (!listens) return std::unexpected(listens.error());
    if (*listens != 1) continue;
    if (auto done = make(accept_ra, 2); !done) return done;
  }
  return {};
}

Result<void> HostSettings::undo(Change& change) {
  change.settled = false;
  auto done = save();
  if (done) done = give_back(change);
  if (!done) {
    change.settled = true;
    std::ignore = save();  // it may say less than is true
  }
  return done;
}

// Somebody else's value stays, also the same one, switched on for all interfaces; unless
// it is our own global switch that turned it along.
Result<void> HostSettings::give_back(const Change& change) {
  const auto now = read(change.sysctl);
  if (!now) return std::unexpected(now.error());
  const auto everywhere = read_everywhere(change.sysctl);
  if (!everywhere) return std::unexpected(everywhere.error());
  const bool ours =
      *now == change.ours && (change.sysctl.interface == kEverywhere || change.sysctl.name == "accept_ra" ||
                              *everywhere == change.everywhere);
  if (!ours && !was_turned_along(change)) return {};
  return write(change.sysctl, change.before);
}

Result<std::optional<int>> HostSettings::read(const Sysctl& setting) {
  if (setting.family != kOfNoFamily) return read_sysctl(setting);
  const auto link = read_link(host_, {.netns = std::nullopt, .ifindex = setting.interface});
  if (!link && link.error().number == ENODEV) return std::nullopt;
  if (!link) return refused(fmt::format("read interface {}", number(setting.interface)), link.error());
  return link->allmulti ? 1 : 0;
}

Result<void> HostSettings::write(const Sysctl& setting, int value) {
  if (setting.family != kOfNoFamily) return write_sysctl(setting, value);
  const auto set = set_link_allmulti(host_, setting.interface, value != 0);
  if (set || set.error().number == ENODEV) return {};
  return refused(fmt::format("have interface {} receive all multicast", number(setting.interface)),
                 set.error());
}

Result<void> HostSettings::save() const {
  std::string text = boot_id_ + "\n";
  for (const Change& change : changes_) {
    text +=
        fmt::format("{} {} {} {} {} {} {:d}\n", number(change.sysctl.family), number(change.sysctl.interface),
                    change.sysctl.name, change.before, change.ours, change.everywhere, change.settled);
  }
  auto saved = replace_file(record_, text);
  if (!saved) return std::unexpected(std::move(saved.error()).within(record_));
  return {};
}

}  // namespace ipvlanx

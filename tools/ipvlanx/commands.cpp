// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace ipvlanx::cli {

namespace {

// ------------------------------------------------------------------------ values

Result<std::string> text(std::string_view word) {
  return std::string{word};
}

Result<std::uint32_t> parse_number(std::string_view word) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error == std::errc::result_out_of_range) {
    return fail(Errc::out_of_range, fmt::format("'{}' is too large", word));
  }
  if (error != std::errc{} || end != word.data() + word.size()) {
    return fail(Errc::wrong_type, fmt::format("'{}' is not a number", word));
  }
  return value;
}

void flag_words(Options& options, std::optional<Flag>& out) {
  options.one_of<Flag>({{"bridge", Flag::bridge}, {"private", Flag::private_}, {"vepa", Flag::vepa}}, out);
}

std::unexpected<NoCommand> missing(std::string_view what) {
  return misuse(fmt::format("\"{}\" is missing", what));
}

std::unexpected<NoCommand> same(const Parsed<void>& read) {
  return std::unexpected(read.error());
}

// ---------------------------------------------------------------------- commands

Parsed<Command> link_add(Words words) {
  std::optional<IfName> master;
  std::optional<IfName> name;
  std::optional<std::string> netns;
  std::optional<Mode> mode;
  std::optional<Flag> flag;
  std::optional<std::uint32_t> mtu;
  std::optional<Via> via;
  std::optional<bool> direct;
  std::optional<AddrPolicy> addr_policy;
  std::optional<std::uint32_t> max_addresses;
  std::vector<Prefix> addresses;

  Options options;
  options.value("link", "master", IfName::parse, master);
  options.value("name", "name", IfName::parse, name);
  options.bare("name", IfName::parse, name);
  options.only("type", "ipvlan");
  options.value("mode", "mode", parse_mode, mode);
  flag_words(options, flag);
  options.value("netns", "netns", text, netns);
  options.value("via", "via", parse_via, via);
  options.one_of<bool>({{"direct", true}}, direct);
  options.values("addr", "addresses", Prefix::parse, addresses);
  options.value("mtu", "mtu", parse_number, mtu);
  options.value("addr-policy", "addr_policy", parse_addr_policy, addr_policy);
  options.value("max-addresses", "max_addresses", parse_number, max_addresses);
  if (const auto read = options.read(words); !read) return same(read);

  if (!master) return missing("link MASTER");
  if (!name) return missing("NAME");
  if (direct && via != Via::afxdp) return misuse("\"direct\" follows \"via afxdp\"");
  if (direct) via = Via::direct;
  return LinkAdd{
      {*master, *name, netns, mode, flag, mtu, via, addr_policy, max_addresses, std::move(addresses)}};
}

bool changes_anything(const api::SlaveChange& change) {
  return change.mode || change.flag || change.netns || change.mtu || change.up || change.addr_policy ||
         change.max_addresses;
}

Parsed<Command> link_set(Words words) {
  std::optional<SlaveWord> slave;
  api::SlaveChange change;

  Options options;
  options.value("dev", "name", text, slave);
  options.bare("name", text, slave);
  options.only("type", "ipvlan");
  options.value("mode", "mode", parse_mode, change.mode);
  flag_words(options, change.flag);
  options.one_of<bool>({{"up", true}, {"down", false}}, change.up);
  options.value("netns", "netns", text, change.netns);
  options.value("mtu", "mtu", parse_number, change.mtu);
  options.value("addr-policy", "addr_policy", parse_addr_policy, change.addr_policy);
  options.value("max-addresses", "max_addresses", parse_number, change.max_addresses);
  if (const auto read = options.read(words); !read) return same(read);

  if (!slave) return missing("dev NAME");
  if (!changes_anything(change)) return misuse(fmt::format("nothing to set for \"{}\"", *slave));
  return LinkSet{*std::move(slave), std::move(change)};
}

Parsed<Command> link_del(Words words) {
  std::optional<SlaveWord> slave;

  Options options;
  options.value("dev", "name", text, slave);
  options.bare("name", text, slave);
  if (const auto read = options.read(words); !read) return same(read);

  if (!slave) return missing("dev NAME");
  return LinkDel{*std::move(slave)};
}

Parsed<Command> link_show(Words words) {
  LinkShow command;

  Options options;
  options.value("dev", "name", text, command.slave);
  options.value("link", "master", IfName::parse, command.master);
  if (const auto read = options.read(words); !read) return same(read);
  return command;
}

template <class AddrChange>
Parsed<Command> addr_change(Words words) {
  std::optional<Prefix> prefix;
  std::optional<SlaveWord> slave;

  Options options;
  options.bare("address", Prefix::parse, prefix);
  options.value("dev", "name", text, slave);
  if (const auto read = options.read(words); !read) return same(read);

  if (!prefix) return missing("PREFIX");
  if (!slave) return missing("dev NAME");
  return AddrChange{*prefix, *std::move(slave)};
}

Parsed<Command> port_show(Words words) {
  PortShow command;

  Options options;
  options.bare("master", IfName::parse, command.master);
  if (const auto read = options.read(words); !read) return same(read);
  return command;
}

Result<bool> parse_switch(std::string_view word) {
  if (word == "on") return true;
  if (word == "off") return false;
  return fail(Errc::unknown_word, fmt::format("'{}' is neither 'on' nor 'off'", word));
}

Parsed<Command> port_set(Words words) {
  std::optional<IfName> master;
  api::PortChange change;

  Options options;
  options.bare("master", IfName::parse, master);
  options.value("mode", "mode", parse_mode, change.mode);
  flag_words(options, change.flag);
  options.value("strict-private", "strict_private", parse_switch, change.strict_private);
  options.value("announce", "announce", parse_switch, change.announce);
  options.value("xdp", "xdp", parse_xdp, change.xdp);
  if (const auto read = options.read(words); !read) return same(read);

  if (!master) return missing("MASTER");
  return PortSet{*master, change};
}

// `port del` and `port flush`.
template <class Of>
Parsed<Command> of_port(Words words) {
  std::optional<IfName> master;

  Options options;
  options.bare("master", IfName::parse, master);
  if (const auto read = options.read(words); !read) return same(read);

  if (!master) return missing("MASTER");
  return Of{*master};
}

// `addr show` and `stats show`: of all slaves, or of one.
template <class Show>
Parsed<Command> show_of_slave(Words words) {
  Show command;

  Options options;
  options.value("dev", "name", text, command.slave);
  if (const auto read = options.read(words); !read) return same(read);
  return command;
}

// What has no words of its own.
template <class What>
Parsed<Command> alone(Words words) {
  if (const auto read = Options{}.read(words); !read) return same(read);
  return What{};
}

Parsed<Command> drops(Words words) {
  std::optional<bool> follow;
  Options options;
  options.one_of<bool>({{"follow", true}}, follow);
  if (const auto read = options.read(words); !read) return same(read);
  return Drops{.follow = follow.value_or(false)};
}

Result<std::string> file_name(std::string_view text) {
  return std::string{text};
}

Parsed<Command> save_to(Words words) {
  Save command;
  Options options;
  options.bare("file", file_name, command.file);
  if (const auto read = options.read(words); !read) return same(read);
  return command;
}

Parsed<Command> apply_from(Words words) {
  std::optional<std::string> file;
  Options options;
  options.bare("file", file_name, file);
  if (const auto read = options.read(words); !read) return same(read);
  if (!file) return missing("FILE");
  return Apply{*file};
}

enum class Direction { rx, tx };

Parsed<Command> trace_packet(Words words) {
  std::optional<IfName> master;
  std::optional<Direction> direction;
  std::optional<SlaveWord> slave;
  std::optional<IpAddress> src;
  std::optional<IpAddress> dst;
  std::optional<Proto> proto;
  std::optional<std::uint32_t> sport;
  std::optional<std::uint32_t> dport;
  std::optional<std::string> pcap;

  Options options;
  options.bare("master", IfName::parse, master);
  options.one_of<Direction>({{"rx", Direction::rx}, {"tx", Direction::tx}}, direction);
  options.value("dev", "slave", text, slave);
  options.value("src", "src", IpAddress::parse, src);
  options.value("dst", "dst", IpAddress::parse, dst);
  options.value("proto", "proto", parse_proto, proto);
  options.value("sport", "sport", parse_number, sport);
  options.value("dport", "dport", parse_number, dport);
  options.value("pcap", "pcap", file_name, pcap);
  if (const auto read = options.read(words); !read) return same(read);

  if (!master) return missing("MASTER");
  if (!direction) return missing("{ rx | tx dev NAME }");
  if (direction == Direction::tx && !slave) return missing("dev NAME");
  if (direction == Direction::rx && slave) return misuse("\"dev\" is of \"tx\" alone");
  if (!dst) return missing("dst IP");
  return Trace{{.master = *master,
                .src = src,
                .dst = *dst,
                .proto = proto.value_or(Proto::icmp),
                .sport = sport,
                .dport = dport},
               std::move(slave),
               std::move(pcap)};
}

Result<std::string> folder(std::string_view text) {
  if (text.starts_with('/')) return std::string{text};
  return fail(Errc::bad_request, fmt::format("'{}' is no absolute path", text));
}

Parsed<Command> purge_all(Words words) {
  PurgeAll command;
  Options options;
  options.value("config", "config", file_name, command.config);
  options.value("pin-root", "pin-root", folder, command.pin_root);
  options.value("state-dir", "state-dir", folder, command.state_dir);
  if (const auto read = options.read(words); !read) return same(read);
  return command;
}

constexpr std::array kRows = {
    CommandRow{"link", "add",
               "link add link MASTER [ name ] NAME [ type ipvlan ] [ mode { l3 | l3s | l2 } ]\n"
               "[ bridge | private | vepa ] [ netns { NAME | PID | PATH } ]\n"
               "[ via { veth | afxdp [ direct ] } ] [ addr PREFIX ]... [ mtu N ]\n"
               "[ addr-policy { learn | static } ] [ max-addresses N ]",
               link_add},
    CommandRow{"link", "set",
               "link set [ dev ] NAME [ type ipvlan ] [ mode { l3 | l3s | l2 } ]\n"
               "[ bridge | private | vepa ] [ up | down ] [ netns { NAME | PID | PATH } ] [ mtu N ]\n"
               "[ addr-policy { learn | static } ] [ max-addresses N ]",
               link_set},
    CommandRow{"link", "del", "link del [ dev ] NAME", link_del},
    CommandRow{"link", "show", "link show [ dev NAME ] [ link MASTER ]", link_show},
    CommandRow{"addr", "add", "addr add PREFIX dev NAME", addr_change<AddrAdd>},
    CommandRow{"addr", "del", "addr del PREFIX dev NAME", addr_change<AddrDel>},
    CommandRow{"addr", "show", "addr show [ dev NAME ]", show_of_slave<AddrShow>},
    CommandRow{"port", "set",
               "port set MASTER [ mode { l3 | l3s | l2 } ] [ bridge | private | vepa ]\n"
               "[ strict-private { on | off } ] [ announce { on | off } ]\n"
               "[ xdp { auto | native | generic | off } ]",
               port_set},
    CommandRow{"port", "show", "port show [ MASTER ]", port_show},
    CommandRow{"port", "del", "port del MASTER", of_port<PortDel>},
    CommandRow{"port", "flush", "port flush MASTER", of_port<PortFlush>},
    CommandRow{"stats", "show", "stats show [ dev NAME ]", show_of_slave<StatsShow>},
    CommandRow{"drops", "", "drops [ follow ]", drops},
    CommandRow{"trace", "",
               "trace MASTER { rx | tx dev NAME } [ src IP ] dst IP [ proto { icmp | tcp | udp | arp } ]\n"
               "[ sport N ] [ dport N ] [ pcap FILE ]",
               trace_packet},
    CommandRow{"monitor", "", "monitor", alone<Monitor>},
    CommandRow{"check", "", "check", alone<Check>},
    CommandRow{"save", "", "save [ FILE ]", save_to},
    CommandRow{"apply", "", "apply FILE", apply_from},
    CommandRow{"reload", "", "reload", alone<Reload>},
    CommandRow{"purge", "", "purge [ config FILE ] [ pin-root DIR ] [ state-dir DIR ]", purge_all},
    CommandRow{"version", "", "version", alone<ShowVersion>},
};

}  // namespace

std::span<const CommandRow> commands() {
  return kRows;
}

std::span<const CommandRow> commands_of(std::string_view object) {
  const auto first = std::ranges::find(kRows, object, &CommandRow::object);
  const auto last = std::find_if(first, kRows.end(), [&](const auto& row) { return row.object != object; });
  return {first, last};
}

}  // namespace ipvlanx::cli

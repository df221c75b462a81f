// SPDX-License-Identifier: Apache-2.0
// What do the CLI's words mean, and which are refused?
#include "grammar.h"

#include "../catch.h"
#include "commands.h"
#include "find.h"

using namespace ipvlanx;
using namespace ipvlanx::cli;

namespace {

Parsed<Invocation> parsed(const std::string& line) {
  std::vector<std::string_view> words;
  for (std::string_view rest = line; !rest.empty();) {
    const auto blank = std::min(rest.find(' '), rest.size());
    words.push_back(rest.substr(0, blank));
    rest.remove_prefix(std::min(blank + 1, rest.size()));
  }
  return parse(words);
}

template <class T>
T command(const std::string& line) {
  const auto invocation = parsed(line);
  INFO(line);
  REQUIRE(invocation);
  REQUIRE(std::holds_alternative<T>(invocation->command));
  return std::get<T>(invocation->command);
}

template <class T>
T no_command(const std::string& line) {
  const auto invocation = parsed(line);
  INFO(line);
  REQUIRE_FALSE(invocation);
  REQUIRE(std::holds_alternative<T>(invocation.error()));
  return std::get<T>(invocation.error());
}

api::SlaveReply slave(std::uint32_t id, const char* name, std::optional<std::string> netns) {
  api::SlaveReply reply;
  reply.id = id;
  reply.name = name;
  reply.netns = std::move(netns);
  return reply;
}

}  // namespace

TEST_CASE("the HOWTO's first command") {
  const auto [request] = command<LinkAdd>("link add link m0 name ipvl0 type ipvlan mode l2");
  CHECK(request.master.str() == "m0");
  CHECK(request.name.str() == "ipvl0");
  CHECK(request.mode == Mode::l2);
  CHECK_FALSE(request.flag);
  CHECK_FALSE(request.netns);
  CHECK_FALSE(request.addr_policy);
  CHECK_FALSE(request.max_addresses);
}

TEST_CASE("link add with everything, in another order") {
  const auto [request] = command<LinkAdd>(
      "link add web0 mtu 1400 private netns ./ns/1 via veth addr 10.0.0.5/24 addr fd00::5/64 "
      "addr-policy static max-addresses 3 mode l3s type ipvlan link eth0.5");
  CHECK(request.master.str() == "eth0.5");
  CHECK(request.name.str() == "web0");
  CHECK(request.mode == Mode::l3s);
  CHECK(request.flag == Flag::private_);
  CHECK(request.netns == "./ns/1");
  CHECK(request.mtu == 1400u);
  CHECK(request.addr_policy == AddrPolicy::static_);
  CHECK(request.max_addresses == 3u);
  REQUIRE(request.addresses.size() == 2);
  CHECK(to_string(request.addresses[1]) == "fd00::5/64");
}

TEST_CASE("link set says only what changes") {
  const auto down = command<LinkSet>("link set dev web0 down");
  CHECK(down.slave == "web0");
  CHECK(down.change.up == false);
  CHECK_FALSE(down.change.mode);

  const auto move = command<LinkSet>("link set web0@ns1 type ipvlan vepa up netns ns2 max-addresses 9");
  CHECK(move.slave == "web0@ns1");
  CHECK(move.change.flag == Flag::vepa);
  CHECK(move.change.up == true);
  CHECK(move.change.netns == "ns2");
  CHECK(move.change.max_addresses == 9u);

  // A word of the grammar is a name after `dev`.
  CHECK(command<LinkSet>("link set dev up down").slave == "up");
}

TEST_CASE("the other commands") {
  CHECK(command<LinkDel>("link del web0").slave == "web0");
  CHECK(command<LinkDel>("link del dev 12").slave == "12");
  CHECK(command<LinkShow>("link show link m0").master->str() == "m0");
  CHECK(command<LinkShow>("link show dev web0").slave == "web0");
  CHECK(command<AddrAdd>("addr add 10.0.0.5/24 dev web0").slave == "web0");
  CHECK(to_string(command<AddrDel>("addr del 10.0.0.5 dev web0").prefix) == "10.0.0.5/32");
  CHECK(command<AddrShow>("addr show dev web0").slave == "web0");
  CHECK(command<PortShow>("port show m0").master->str() == "m0");
  CHECK(command<PortDel>("port del m0").master.str() == "m0");
  CHECK(command<PortFlush>("port flush m0").master.str() == "m0");
  command<Drops>("drops");
  CHECK(command<StatsShow>("stats show dev web0").slave == "web0");
  command<ShowVersion>("version");
  command<Check>("-j check");
}

TEST_CASE("a direct slave is via afxdp") {
  const auto [request] = command<LinkAdd>("link add link m0 app0 via afxdp direct");
  CHECK(request.via == Via::direct);
  no_command<Misuse>("link add link m0 app0 direct");
  no_command<Misuse>("link add link m0 app0 via veth direct");
}

TEST_CASE("port set") {
  const auto set = command<PortSet>("port set m0 mode l2 private strict-private on");
  CHECK(set.master.str() == "m0");
  CHECK(set.change.mode == Mode::l2);
  CHECK(set.change.flag == Flag::private_);
  CHECK(set.change.strict_private == true);
  CHECK(command<PortSet>("port set m0 strict-private off").change.strict_private == false);
  CHECK(command<PortSet>("port set m0 announce off").change.announce == false);
  CHECK_FALSE(command<PortSet>("port set m0 strict-private off").change.announce);
  CHECK(command<PortSet>("port set m0 xdp native").change.xdp == Xdp::native);
  CHECK_FALSE(command<PortSet>("port set m0").change.mode);
}

TEST_CASE("an object alone is shown") {
  CHECK_FALSE(command<LinkShow>("link").slave);
  CHECK_FALSE(command<AddrShow>("addr").slave);
  CHECK_FALSE(command<PortShow>("port").master);
  CHECK_FALSE(command<StatsShow>("stats").slave);
}

TEST_CASE("options before the object") {
  CHECK_FALSE(parsed("link")->json);
  for (const auto* line : {"-j link", "-json link", "--json link"}) CHECK(parsed(line)->json);
  CHECK(parsed("-j -p link")->pretty);
  CHECK(parsed("-statistics link")->statistics);
  CHECK(parsed("--socket /run/x.sock -s link")->socket == "/run/x.sock");
}

TEST_CASE("misuse names the bad word") {
  struct Row {
    const char* line;
    const char* what;
  };
  const Row rows[] = {
      {"", "an OBJECT is missing"},
      {"lnik", "unknown object \"lnik\""},
      {"-x link", "unknown option \"-x\""},
      {"--socket", "\"--socket\" needs a value"},
      {"link -j", "unknown command \"-j\""},
      {"link ad", "unknown command \"ad\""},
      {"link sh", "unknown command \"sh\""},
      {"port set mode l2", "\"MASTER\" is missing"},
      {"port del", "\"MASTER\" is missing"},
      {"link add link m0 web0 mod l2", "unknown word \"mod\""},
      {"link add link m0 web0 mode", "\"mode\" needs a value"},
      {"link add link m0 web0 mode l2 mode l2", "duplicate \"mode\": \"l2\" is the second value"},
      {"link add link m0 name a name b", "duplicate \"name\": \"b\" is the second value"},
      {"link add link m0 a b", "unknown word \"b\""},
      {"link add link m0 web0 bridge vepa",
       "duplicate \"vepa\": only one of bridge, private, vepa can be given"},
      {"link add link m0 web0 type macvlan", "\"type\" can be \"ipvlan\" only, not \"macvlan\""},
      {"link add link m0 web0 type ipvlan type ipvlan", "duplicate \"type\": \"ipvlan\" is the second value"},
      {"link add web0", "\"link MASTER\" is missing"},
      {"link add link m0", "\"NAME\" is missing"},
      {"link set up", "\"dev NAME\" is missing"},
      {"link set web0", "nothing to set for \"web0\""},
      {"link set web0 up down", "duplicate \"down\": only one of up, down can be given"},
      {"link del", "\"dev NAME\" is missing"},
      {"link show web0", "unknown word \"web0\""},
      {"addr add dev web0", "\"PREFIX\" is missing"},
      {"addr add 10.0.0.5/24", "\"dev NAME\" is missing"},
      {"port show m0 m1", "unknown word \"m1\""},
      {"version now", "unknown word \"now\""},
  };
  for (const auto& [line, what] : rows) {
    const auto misuse = no_command<Misuse>(line);
    CHECK(misuse.what == what);
    CHECK(misuse.usage.starts_with("Usage: ipvlanx "));
  }
}

TEST_CASE("a bad value is the daemon's error, with its field") {
  struct Row {
    const char* line;
    Errc code;
    const char* field;
  };
  const Row rows[] = {
      {"link add link m0 a-name-that-is-too-long", Errc::name_too_long, "name"},
      {"link add link m/0 web0", Errc::bad_name, "master"},
      {"link add link m0 web0 mode l4", Errc::unknown_word, "mode"},
      {"link add link m0 web0 via netkit", Errc::unknown_word, "via"},
      {"link add link m0 web0 mtu big", Errc::wrong_type, "mtu"},
      {"link add link m0 web0 mtu -1", Errc::wrong_type, "mtu"},
      {"link add link m0 web0 mtu 4294967296", Errc::out_of_range, "mtu"},
      {"link add link m0 web0 addr 10.0.0.1/24 addr 10.0.0.5/33", Errc::bad_prefix, "addresses[1]"},
      {"link set web0 addr-policy none", Errc::unknown_word, "addr_policy"},
      {"addr add 10.0.0.256 dev web0", Errc::bad_prefix, "address"},
  };
  for (const auto& [line, code, field] : rows) {
    const auto error = no_command<Error>(line);
    CHECK(error.code == code);
    CHECK(error.field == field);
  }
}

TEST_CASE("help everywhere, of what is there and no more") {
  for (const auto* line :
       {"help", "-h", "--help", "-j help", "link help", "link add help", "link add link m0 help", "addr help",
        "port show help", "stats help", "version help"}) {
    const auto text = no_command<HelpWanted>(line).text;
    CHECK(text.starts_with("Usage: ipvlanx "));
    for (const auto* unbuilt : {"host-access", "netkit", "offload"}) {
      INFO(unbuilt);
      CHECK_FALSE(text.contains(unbuilt));
    }
  }
  CHECK(no_command<HelpWanted>("link del help").text.starts_with("Usage: ipvlanx link del [ dev ] NAME\n"));
  // Only after `dev` is it a slave's name.
  CHECK(command<LinkDel>("link del dev help").slave == "help");
}

TEST_CASE("a slave's name must mean one slave") {
  CHECK(the_only_one({slave(3, "web0", "ns1")}, "web0")->id == 3);
  CHECK(the_only_one({}, "web0").error().code == Errc::no_such_slave);

  const auto several = the_only_one({slave(3, "web0", "ns1"), slave(4, "web0", std::nullopt)}, "web0");
  CHECK(several.error().message == "'web0' is ambiguous: web0@ns1 (id 3), web0 (id 4)");
}

TEST_CASE("help is everywhere, and says how each command is written") {
  CHECK(no_command<HelpWanted>("help").text.find("Usage: ipvlanx ") == 0);
  for (const CommandRow& row : commands()) {
    const std::string object{row.object};
    const std::string command = row.command.empty() ? object : object + " " + std::string{row.command};
    const std::string first_line{row.usage.substr(0, row.usage.find('\n'))};
    CAPTURE(command);
    CHECK(no_command<HelpWanted>("help").text.find("ipvlanx " + first_line + "\n") != std::string::npos);
    CHECK(no_command<HelpWanted>(object + " help").text.find("ipvlanx " + first_line + "\n") !=
          std::string::npos);
    CHECK(no_command<HelpWanted>(command + " help").text.find("Usage: ipvlanx " + first_line + "\n") == 0);
    CHECK(no_command<HelpWanted>("-j " + command + " help").text.size() > first_line.size());
  }
}

// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <sstream>

namespace ipvlanx::xsk {

namespace {

constexpr int kUsage = 1;

constexpr const char* kAbout =
    "A small client for AF_XDP slaves of ipvlanx (`link add ... via afxdp`), or any interface with\n"
    "libxdp's XDP program: run it in the interface's network namespace.";
constexpr const char* kNotes =
    "It takes CAP_NET_RAW, CAP_IPC_LOCK where `ulimit -l` is low, and without --map or --socket root's\n"
    "CAP_SYS_ADMIN. What it counts is said each second on stderr and at the end, also after SIGINT and\n"
    "SIGTERM, on stdout. Exit status: 0 done, 1 usage, 2 refused.";

// An option whose value one of the model's parsers reads; what that says of a wrong one is CLI11's error.
template <class Parse, class Take>
CLI::Option* parsed(CLI::App* app, const std::string& name, Parse parse, Take take, const std::string& help) {
  return app->add_option_function<std::vector<std::string>>(
      name,
      [=](const std::vector<std::string>& words) {
        for (const auto& word : words) {
          auto value = parse(word);
          if (!value) throw CLI::ValidationError(name, value.error().message);
          take(*std::move(value));
        }
      },
      help);
}

Result<IpAddress> parse_address(const std::string& word) {
  if (!word.contains('/')) return IpAddress::parse(word);
  auto prefix = Prefix::parse(word);
  if (!prefix) return std::unexpected(prefix.error());
  return prefix->address;
}

CLI::App* add_work(CLI::App& app, Arguments& out, Work work, const std::string& name,
                   const std::string& help) {
  CLI::App* const sub = app.add_subcommand(name, help);
  sub->callback([&out, work] { out.work = work; });
  sub->add_option("IF", out.end.interface, "the interface: of the slave, in the slave's network namespace")
      ->required();
  return sub;
}

constexpr const char* kSocket = "The socket";
constexpr const char* kEnd = "The end, and what is said";

// How frames come to `end`'s socket. `prefix`: what its options begin with.
void add_map(CLI::App* sub, End& end, const std::string& prefix = "") {
  auto* map = sub->add_option_function<std::string>(
      "--" + prefix + "map", [&end](const std::string& path) { end.map = Pinned{path}; },
      "the map the slave has pinned: /sys/fs/bpf/ipvlanx/slaves/<id>/xsks_map");
  auto* socket = sub->add_option_function<std::string>(
      "--" + prefix + "socket", [&end](const std::string& path) { end.map = Served{path}; },
      "the socket that hands the map out: /run/ipvlanx/slaves/<id>/afxdp.sock");
  auto* load = sub->add_flag_callback(
      "--" + prefix + "load", [&end] { end.map = OfProgram{.may_load = true}; },
      "libxdp's XDP program for an interface without one, for as long as this runs");
  for (auto* option : {map, socket, load}) option->type_name("PATH")->group(kSocket);
  load->type_name("");
  map->excludes(socket)->excludes(load);
  socket->excludes(load);
}

void add_common(CLI::App* sub, Arguments& out) {
  sub->add_option("--queue", out.end.queue, "of the interface: a socket has the frames of one")
      ->capture_default_str()
      ->group(kSocket);
  sub->add_option("--ring", out.socket.ring, "slots of each ring; its memory is 1.5 chunks for each")
      ->check(CLI::IsMember({64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768}))
      ->capture_default_str()
      ->group(kSocket);
  sub->add_option("--chunk", out.socket.chunk, "bytes of a chunk, which holds a frame and 256 more")
      ->check(CLI::IsMember({2048, 4096}))
      ->capture_default_str()
      ->group(kSocket);
  auto* copy = sub->add_flag_callback(
      "--copy", [&out] { out.socket.mode = SocketOptions::Mode::copy; },
      "no zero copy, even where it can be");
  auto* zero_copy = sub->add_flag_callback(
      "--zero-copy", [&out] { out.socket.mode = SocketOptions::Mode::zero_copy; }, "zero copy or nothing");
  zero_copy->excludes(copy);
  auto* busy_poll = sub->add_flag("--busy-poll", out.socket.busy_poll,
                                  "have the driver work when this asks it to, on its CPU (CAP_NET_ADMIN)");
  auto* spin = sub->add_flag("--spin", out.spin, "never sleep: fastest, and all of a CPU");
  for (auto* option : {copy, zero_copy, busy_poll, spin}) option->group(kSocket);

  sub->add_option("--count", out.count, "stop after so many frames")->group(kEnd);
  parsed(
      sub, "--seconds",
      [](const std::string& word) -> Result<double> {
        double seconds = 0;
        if (CLI::detail::lexical_cast(word, seconds) && seconds > 0 && seconds < 1e9) return seconds;
        return fail(Errc::out_of_range, fmt::format("'{}' is no time", word));
      },
      [&out](double seconds) { out.seconds = std::chrono::duration<double>{seconds}; },
      "stop after this time")
      ->expected(1)
      ->type_name("S")
      ->group(kEnd);
  sub->add_flag("-j,--json", out.json, "one JSON object a line")->group(kEnd);
}

void add_drop(CLI::App& app, Arguments& out) {
  auto* sub = add_work(app, out, Work::drop, "drop", "receive, count, and forget");
  sub->add_flag("--multi-buffer", out.socket.multi_buffer,
                "frames longer than a chunk, too, in several (Linux 6.6)")
      ->group(kSocket);
  add_map(sub, out.end);
  add_common(sub, out);
}

void add_echo(CLI::App& app, Arguments& out) {
  auto* sub = add_work(app, out, Work::echo, "echo",
                       "answer ARP, neighbour solicitations, ICMP and ICMPv6 echo requests, and UDP");
  parsed(
      sub, "--address", parse_address, [&out](const IpAddress& each) { out.addresses.push_back(each); },
      "answer for this address, too, besides those that the interface has at the start")
      ->type_name("IP");
  sub->add_option("--udp-port", out.udp_port, "echo what comes to this port")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  add_map(sub, out.end);
  add_common(sub, out);
}

void add_generate(CLI::App& app, Arguments& out) {
  auto* sub = add_work(app, out, Work::generate, "generate", "send UDP frames, each with the next number");
  sub->callback([&out] {
    out.work = Work::generate;
    out.end.map = SendOnly{};
  });
  parsed(
      sub, "--to", parse_address, [&out](const IpAddress& each) { out.to = each; }, "to this address")
      ->required()
      ->expected(1)
      ->type_name("IP");
  parsed(
      sub, "--to-mac", parse_mac, [&out](const MacAddress& each) { out.to_mac = each; },
      "by this neighbour (`ip neigh`)")
      ->required()
      ->expected(1)
      ->type_name("MAC");
  parsed(
      sub, "--from", parse_address, [&out](const IpAddress& each) { out.from = each; },
      "from this address, if not the interface's first of that family")
      ->expected(1)
      ->type_name("IP");
  sub->add_option("--to-port", out.to_port, "discard, unless said")->capture_default_str();
  sub->add_option("--from-port", out.from_port)->capture_default_str();
  sub->add_option("--size", out.size, "bytes of a frame, as a capture shows it")->capture_default_str();
  sub->add_option("--rate", out.rate, "frames per second; else as many as there can be")
      ->check(CLI::PositiveNumber);
  add_common(sub, out);
}

void add_forward(CLI::App& app, Arguments& out) {
  auto* sub = add_work(app, out, Work::forward, "forward",
                       "hand frames on to another interface, and its frames to this one");
  sub->add_option("--to", out.other.interface, "the other interface")->required()->type_name("IF2");
  add_map(sub, out.end);
  add_common(sub, out);
  sub->add_option("--to-queue", out.other.queue, "of the other interface")
      ->capture_default_str()
      ->group(kSocket);
  add_map(sub, out.other, "to-");
}

}  // namespace

std::expected<Arguments, NoWork> read_arguments(int argc, const char* const* argv) {
  Arguments out;
  CLI::App app{kAbout, "ipvlanx-xsk"};
  app.footer(kNotes);
  app.require_subcommand(1);
  add_drop(app, out);
  add_echo(app, out);
  add_generate(app, out);
  add_forward(app, out);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    std::ostringstream said, complained;
    const int status = app.exit(stop, said, complained) == 0 ? 0 : kUsage;
    return std::unexpected(NoWork{status, status == 0 ? said.str() : complained.str()});
  }
  return out;
}

}  // namespace ipvlanx::xsk

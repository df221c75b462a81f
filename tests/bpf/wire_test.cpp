// SPDX-License-Identifier: Apache-2.0
// What only real frames can show: VLAN tags beside the packet, frames in pages, GSO,
// and the two ways into a slave. SEMANTICS.md rules 13, 23, 40.
#include <linux/if_ether.h>

#include "catch.h"
#include "check.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;
using namespace std::chrono_literals;

namespace {

// TCP over IPv4, `size` bytes with Ethernet.
Bytes long_tcp(std::string_view to, std::size_t size, MacAddress to_mac, MacAddress from_mac) {
  const std::size_t packet = size - kEthernet;
  return tcp_ipv4().to(to).tot_len(static_cast<unsigned>(packet)).padded(packet - 40).bytes(to_mac, from_mac);
}

// The checksum is the device's to do; whether it did is not the question here.
Bytes without_checksum(Bytes frame) {
  frame.at(50) = frame.at(51) = 0;
  return frame;
}

}  // namespace

TEST_CASE("a tagged frame from the wire never matches an untagged slave") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"});
  const Entry wire = given.wire("m0");
  const Frame frames[] = {ipv4().to("10.0.0.2"), ipv6().to("fd00::2"), arp_request().to("10.0.0.2"),
                          arp_request().to("10.0.0.2").to_mac(kBroadcast),
                          ipv6().to("ff02::1").to_mac(kAllNodes)};
  for (const Frame& frame : frames) {
    // At the hook the tag lies beside the packet; behind it the host's stack without
    // such a VLAN gets the frame without.
    const Bytes plain = frame.bytes(wire.to, wire.from);
    const Bytes tagged = frame.tagged(7).bytes(wire.to, wire.from);
    INFO(hex(tagged));
    const Counters before = given.counters();
    wire.sender->send(tagged);
    const Heard heard{{"host of m0", {plain}}};
    CHECK(listen(given, heard) == heard);
    CHECK(difference(before, given.counters()) ==
          Counters{{"m0.passed.packets", 1}, {"m0.passed.bytes", plain.size()}});
  }
}

TEST_CASE("a slave's tagged frame is for the wire, with its tag") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  const Entry web0 = given.from("web0");
  const Frame frames[] = {arp_request().to("10.0.0.3").to_mac(kBroadcast),
                          ipv6().to("ff02::1").to_mac(kAllNodes), ipv4().to("10.0.0.3")};
  for (const Frame& frame : frames) {
    const Bytes tagged = frame.tagged(7).bytes(web0.to, web0.from);
    INFO(hex(tagged));
    const Counters before = given.counters();
    web0.sender->send(tagged);
    const Heard heard{{"wire of m0", {tagged}}};
    CHECK(listen(given, heard) == heard);
    CHECK(difference(before, given.counters())["web0.tx.packets"] == 1);
    CHECK(difference(before, given.counters()).count("web1.rx.packets") == 0);
  }
  // To the shared MAC address it is no sibling's, whatever the address behind the tag.
  const Bytes local = ipv4().to_mac(kM0).to("10.0.0.3").tagged(7).bytes(web0.to, web0.from);
  const Heard heard{{"host of m0", {ipv4().to_mac(kM0).to("10.0.0.3").bytes(web0.to, web0.from)}}};
  web0.sender->send(local);
  CHECK(listen(given, heard) == heard);
}

TEST_CASE("jumbo frames are steered, wherever the driver put their headers") {
  Given given;
  given.port("m0", kM0, 9000).slave("web0", {"10.0.0.2", "fd00::2"}).slave("web1", {"10.0.0.3", "fd00::3"});
  struct Row {
    Entry entry;
    Frame frame;
    Heard heard;
  };
  const Entry wire = given.wire("m0");
  const Entry web0 = given.from("web0");
  const Frame four = ipv4().with_payload(8900);
  const Frame six = ipv6().with_payload(8900);
  const auto to = [](const Entry& entry, const Frame& frame, const std::string& ear) {
    return Row{entry, frame, {{ear, {frame.bytes(entry.to, entry.from)}}}};
  };
  const Row rows[] = {
      to(wire, four.to("10.0.0.2"), "web0"),
      to(wire, six.to("fd00::3"), "web1"),
      to(wire, four.to("10.0.0.9"), "host of m0"),
      to(web0, four.to_mac(kM0).to("10.0.0.3"), "web1"),
      to(web0, six.to_mac(kM0).to("fd00::3"), "web1"),
      to(web0, six.to("fd00::9"), "wire of m0"),
      to(wire, arp_request().to("10.0.0.3").padded(8000), "web1"),
      to(wire, solicitation("fd00::2").from("::").padded(8000), "web0"),
  };
  for (const Row& row : rows) {
    // How many of its bytes are in the linear part of the skb: 0 lets the kernel choose.
    for (const unsigned linear : {0u, 14u, 20u, 34u, 54u, 77u, 78u}) {
      const Bytes frame = row.frame.bytes(row.entry.to, row.entry.from);
      INFO("linear: " << linear << ", into " << row.entry.owner << ": " << hex(frame));
      row.entry.sender->send(frame, 0, linear);
      CHECK(listen(given, row.heard) == row.heard);
    }
  }
}

TEST_CASE("a forged source in a frame of pages is rewritten") {
  Given given;
  given.port("m0", kM0, 9000).slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  const Entry web0 = given.from("web0");
  const Frame frame = ipv4().with_payload(8900).to("10.0.0.3");
  for (const MacAddress to : {kOutside, kM0, kBroadcast}) {
    web0.sender->send(frame.bytes(to, kForged), 0, 14);
    const Bytes out = frame.bytes(to, kM0);
    Heard heard;
    if (to != kM0) heard["wire of m0"] = {out};
    if (to != kOutside) heard["web1"] = {out};
    CHECK(listen(given, heard) == heard);
  }
}

TEST_CASE("a GSO packet arrives in one piece and counts once") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  const Entry wire = given.wire("m0");
  const Entry web0 = given.from("web0");
  const auto send = [&](const Entry& entry, const Bytes& frame, const std::string& ear) {
    INFO(entry.owner << " → " << ear << ", " << frame.size());
    const Counters before = given.counters();
    entry.sender->send(frame, 1448);
    Heard heard = listen(given, {{ear, {frame}}});
    CHECK(heard.size() == 1);
    CHECK(heard[ear].size() == 1);
    if (!heard[ear].empty()) CHECK(without_checksum(heard[ear][0]) == without_checksum(frame));
    return difference(before, given.counters());
  };
  for (const std::size_t size : {3000u, 60000u, 65500u}) {
    CHECK(send(wire, long_tcp("10.0.0.2", size, kM0, kOutside), "web0") ==
          Counters{{"web0.rx.packets", 1}, {"web0.rx.bytes", size}});
    CHECK(send(web0, long_tcp("10.0.0.3", size, kM0, kM0), "web1") == Counters{{"web0.tx.packets", 1},
                                                                               {"web0.tx.bytes", size},
                                                                               {"web1.rx.packets", 1},
                                                                               {"web1.rx.bytes", size}});
    CHECK(send(web0, long_tcp("10.0.0.9", size, kOutside, kM0), "wire of m0") ==
          Counters{{"web0.tx.packets", 1}, {"web0.tx.bytes", size}});
  }
}

TEST_CASE("both ways into a slave deliver, one of them through the host end") {
  Given given;
  given.port("m0").slave("away", {"10.0.0.2"}).slave("here", {"10.0.0.3"}, Link::up, Space::host);
  const Bytes to_away = ipv4().to("10.0.0.2").bytes(kM0, kOutside);
  const Bytes to_here = ipv4().to("10.0.0.3").bytes(kM0, kOutside);
  const auto passing_away = PacketSocket::tap(Space::host, given.host_end("away"), true);
  const auto passing_here = PacketSocket::tap(Space::host, given.host_end("here"), true);
  const PacketSocket& wire = *given.wire("m0").sender;

  wire.send(to_away);
  CHECK(listen(given, {{"away", {to_away}}}) == Heard{{"away", {to_away}}});
  CHECK(!passing_away.receive(0ms));
  wire.send(to_here);
  CHECK(listen(given, {{"here", {to_here}}}) == Heard{{"here", {to_here}}});
  CHECK(passing_here.receive(1000ms) == to_here);

  // A slave that moves only gets another way.
  AddressRow row = given.address_row("away", "10.0.0.2");
  row.way = Way::by_host_end;
  need(given.datapath().write(row));
  wire.send(to_away);
  CHECK(listen(given, {{"away", {to_away}}}) == Heard{{"away", {to_away}}});
  CHECK(passing_away.receive(1000ms) == to_away);
}

TEST_CASE("slaves of both ways reach each other") {
  Given given;
  given.port("m0").slave("away", {"10.0.0.2"}).slave("here", {"10.0.0.3"}, Link::up, Space::host);
  check(given, given.from("away"), ipv4().to_mac(kM0).to("10.0.0.3"), redirected_to("here"));
  check(given, given.from("here"), ipv4().to_mac(kM0).to("10.0.0.2"), redirected_to("away"));
  check(given, given.from("here"), ipv4().to("10.0.0.9"), to_wire());
  check(given, given.from("here"), ipv4().to_mac(kM0).to("10.0.0.9"), to_host());
  check(given, given.wire("m0"), ipv4().to("10.0.0.3"), redirected_to("here"));
}

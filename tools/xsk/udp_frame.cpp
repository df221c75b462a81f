// SPDX-License-Identifier: Apache-2.0
#include "udp_frame.h"

#include <fmt/format.h>

#include <array>
#include <limits>

namespace ipvlanx::xsk {

namespace {

constexpr std::size_t kNumber = 8;
constexpr std::uint8_t kHops = 64;
constexpr std::size_t kUdpChecksum = 6;

void write_ipv4(Bytes packet, const Flow& flow) {
  packet[0] = 0x45;
  put16(packet, 2, static_cast<std::uint16_t>(packet.size()));
  put16(packet, 6, 0x4000);  // not to be fragmented
  packet[8] = kHops;
  packet[9] = kProtocolUdp;
  put(packet, 12, wire_bytes(flow.from));
  put(packet, 16, wire_bytes(flow.to));
  put16(packet, 10, Checksum{}.add(packet.first(kIpv4)).value());
}

void write_ipv6(Bytes packet, const Flow& flow) {
  packet[0] = 0x60;
  put16(packet, 4, static_cast<std::uint16_t>(packet.size() - kIpv6));
  packet[6] = kProtocolUdp;
  packet[7] = kHops;
  put(packet, 8, wire_bytes(flow.from));
  put(packet, 24, wire_bytes(flow.to));
}

std::array<std::uint8_t, kNumber> as_bytes(std::uint64_t number) {
  std::array<std::uint8_t, kNumber> bytes{};
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte, number >>= 8) {
    *byte = static_cast<std::uint8_t>(number);
  }
  return bytes;
}

}  // namespace

Result<UdpFrames> UdpFrames::of(const Flow& flow, std::size_t size) {
  const bool ipv4 = flow.to.family() == Family::ipv4;
  if (flow.from.family() != flow.to.family()) {
    return fail(Errc::bad_request, fmt::format("'{}' and '{}' are of different families",
                                               to_string(flow.from), to_string(flow.to)));
  }
  const std::size_t ip = ipv4 ? kIpv4 : kIpv6;
  const std::size_t least = kEthernet + ip + kUdp + kNumber;
  const std::size_t most = std::numeric_limits<std::uint16_t>::max();
  if (size < least || size > most) {
    return fail(Errc::out_of_range,
                fmt::format("a size of {}: such a frame has {} to {} bytes", size, least, most));
  }

  UdpFrames frames;
  frames.template_.resize(size);
  frames.udp_ = kEthernet + ip;
  const Bytes frame{frames.template_};
  put(frame, 0, flow.to_mac.bytes);
  put(frame, 6, flow.from_mac.bytes);
  put16(frame, 12, ipv4 ? kTypeIpv4 : kTypeIpv6);
  const Bytes packet = frame.subspan(kEthernet);
  ipv4 ? write_ipv4(packet, flow) : write_ipv6(packet, flow);

  const Bytes message = frame.subspan(frames.udp_);
  put16(message, 0, flow.from_port);
  put16(message, 2, flow.to_port);
  put16(message, 4, static_cast<std::uint16_t>(message.size()));
  const Bytes letters = message.subspan(kUdp + kNumber);
  for (std::size_t i = 0; i < letters.size(); ++i) letters[i] = static_cast<std::uint8_t>('a' + i % 26);

  frames.checksum_ =
      pseudo_header(wire_bytes(flow.from), wire_bytes(flow.to), kProtocolUdp, message.size()).add(message);
  return frames;
}

void UdpFrames::write(Bytes room, std::uint64_t number) const {
  put(room, 0, template_);
  const auto digits = as_bytes(number);
  put(room, udp_ + kUdp, digits);
  const std::uint16_t sum = Checksum{checksum_}.add(digits).value();
  put16(room, udp_ + kUdpChecksum, sum == 0 ? 0xffff : sum);  // 0 would say that there is none
}

}  // namespace ipvlanx::xsk

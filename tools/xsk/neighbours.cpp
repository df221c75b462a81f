// SPDX-License-Identifier: Apache-2.0
#include "neighbours.h"

namespace ipvlanx::xsk {

namespace {

constexpr MacAddress kAll{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// Offsets in the frame.
constexpr std::size_t kTo = 0, kFrom = 6, kType = 12;
constexpr std::size_t kArpSenderMac = kEthernet + 8, kArpSender = kEthernet + 14,
                      kArpTargetMac = kEthernet + 18, kArpTarget = kEthernet + 24, kArpEnd = kEthernet + 28;
constexpr std::size_t kIpv4From = kEthernet + 12, kIpv4To = kEthernet + 16;
constexpr std::size_t kIpv6Next = kEthernet + 6, kIpv6From = kEthernet + 8, kIpv6To = kEthernet + 24;
constexpr std::size_t kIcmpv6 = kEthernet + kIpv6, kIcmpv6Checksum = kIcmpv6 + 2;

// Where the IP addresses of a frame are; of size 0 where it has none.
struct Ends {
  std::size_t from = 0, to = 0, size = 0;
};

Ends ends_of(ConstBytes frame) {
  if (frame.size() < kEthernet) return {};
  switch (get16(frame, kType)) {
    case kTypeArp:
      return frame.size() < kArpEnd ? Ends{} : Ends{kArpSender, kArpTarget, 4};
    case kTypeIpv4:
      return frame.size() < kEthernet + kIpv4 ? Ends{} : Ends{kIpv4From, kIpv4To, 4};
    case kTypeIpv6:
      return frame.size() < kEthernet + kIpv6 ? Ends{} : Ends{kIpv6From, kIpv6To, 16};
    default:
      return {};
  }
}

// The bytes before the options of a neighbour discovery message; 0: it is none.
std::size_t before_options(std::uint8_t type) {
  switch (type) {
    case 133:  // router solicitation
      return 8;
    case 134:  // router advertisement
      return 16;
    case 135:  // neighbour solicitation
    case 136:  // neighbour advertisement
      return 24;
    case 137:  // redirect
      return 40;
    default:
      return 0;
  }
}

// `mac` at `at`, and the checksum as it is then (RFC 1624).
void replace_mac(Bytes frame, std::size_t at, const MacAddress& mac) {
  Checksum sum;
  const auto without = [&](std::size_t where) { sum.add(static_cast<std::uint16_t>(~get16(frame, where))); };
  without(kIcmpv6Checksum);
  for (std::size_t i = 0; i < mac.bytes.size(); i += 2) without(at + i);
  put(frame, at, mac.bytes);
  put16(frame, kIcmpv6Checksum, sum.add(mac.bytes).value());
}

void replace_macs_of_discovery(Bytes frame, const MacAddress& mine) {
  constexpr std::uint8_t kSourceMac = 1, kTargetMac = 2;
  constexpr std::size_t kUnit = 8;
  if (frame.size() <= kIcmpv6 || frame[kIpv6Next] != kProtocolIcmpv6) return;
  const std::size_t first = before_options(frame[kIcmpv6]);
  if (first == 0) return;
  for (std::size_t at = kIcmpv6 + first; at + kUnit <= frame.size(); at += frame[at + 1] * kUnit) {
    if (frame[at] == kSourceMac || frame[at] == kTargetMac) replace_mac(frame, at + 2, mine);
    if (frame[at + 1] == 0) return;
  }
}

}  // namespace

std::optional<MacAddress> Neighbours::behind(ConstBytes address) const {
  const auto ip = IpAddress::from_bytes(address);
  const auto found = ip ? known_.find(*ip) : known_.end();
  if (found == known_.end()) return {};
  return found->second;
}

void Neighbours::learn(ConstBytes frame) {
  const Ends ends = ends_of(frame);
  if (ends.size == 0 || is_group(get_mac(frame, kFrom))) return;
  const auto sender = IpAddress::from_bytes(frame.subspan(ends.from, ends.size));
  if (!sender || sender->is_multicast() || sender->is_unspecified()) return;
  if (known_.size() >= kMost && !known_.contains(*sender)) known_.clear();
  known_.insert_or_assign(*sender, get_mac(frame, kFrom));
}

void Neighbours::address(Bytes frame, const MacAddress& mine) const {
  if (frame.size() < kEthernet) return;
  const Ends ends = ends_of(frame);
  MacAddress to = get_mac(frame, kTo);
  if (!is_group(to)) to = behind(frame.subspan(ends.to, ends.size)).value_or(kAll);
  put(frame, kTo, to.bytes);
  put(frame, kFrom, mine.bytes);

  if (ends.from == kArpSender) {
    put(frame, kArpSenderMac, mine.bytes);
    if (!is_group(to)) put(frame, kArpTargetMac, to.bytes);
  }
  if (ends.from == kIpv6From) replace_macs_of_discovery(frame, mine);
}

}  // namespace ipvlanx::xsk

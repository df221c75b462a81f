// SPDX-License-Identifier: Apache-2.0
#include "pcap.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "ipvlanx/base/number.h"

namespace ipvlanx::cli {

namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

// In the byte order of this machine, which a reader tells by the first word.
struct FileHeader {
  std::uint32_t magic = 0xa1b2c3d4;  // times in microseconds
  std::uint16_t major = 2;
  std::uint16_t minor = 4;
  std::uint32_t reserved[2] = {};
  std::uint32_t longest = 65535;
  std::uint32_t link_type = 1;  // Ethernet
};
static_assert(sizeof(FileHeader) == 24);

struct FrameHeader {
  std::uint32_t seconds;
  std::uint32_t microseconds;
  std::uint32_t kept;
  std::uint32_t length;
};
static_assert(sizeof(FrameHeader) == 16);

template <class Header>
std::string_view bytes_of(const Header& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

std::optional<std::string> unhex(std::string_view digits) {
  std::string bytes;
  for (; digits.size() >= 2; digits.remove_prefix(2)) {
    const auto byte = whole_number<unsigned char>(digits.substr(0, 2), 16);
    if (!byte) return std::nullopt;
    bytes += static_cast<char>(*byte);
  }
  return digits.empty() ? std::optional{bytes} : std::nullopt;
}

}  // namespace

Result<std::string> pcap_of(const api::TraceReply& trace, std::chrono::system_clock::time_point when) {
  const auto since = when.time_since_epoch();
  const auto whole = std::chrono::duration_cast<seconds>(since);
  const auto rest = std::chrono::duration_cast<microseconds>(since - whole);
  std::string file{bytes_of(FileHeader{})};
  for (const std::string* text : {&trace.before, &trace.after}) {
    if (text == &trace.after && trace.after == trace.before) continue;
    const auto frame = unhex(*text);
    if (!frame) return fail(Errc::bad_json, fmt::format("'{}' is no frame in hex", *text));
    const auto length = static_cast<std::uint32_t>(frame->size());
    const FrameHeader header{static_cast<std::uint32_t>(whole.count()),
                             static_cast<std::uint32_t>(rest.count()), length, length};
    file += bytes_of(header);
    file += *frame;
  }
  return file;
}

}  // namespace ipvlanx::cli

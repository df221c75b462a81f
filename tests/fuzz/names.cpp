// SPDX-License-Identifier: Apache-2.0
// The model's words: names, addresses, prefixes, MAC addresses, modes.
#include "fuzz.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

namespace {

template <class T>
void check(std::string_view text, Result<T> (*parse)(std::string_view)) {
  const auto value = parse(text);
  if (!value) {
    must(!value.error().message.empty(), "a refusal has a reason");
    return;
  }
  const std::string written{to_string(*value)};
  const auto again = parse(written);
  must(again && *again == *value, "what was read can be written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  if (const auto name = IfName::parse(text)) {
    must(name->str() == text && !text.contains('/') && !text.contains('\0') && text.size() < 16, "a name");
  }
  if (const auto id = id_of_host_end(text)) must(host_end_name(*id).str() == text, "a host end's name");
  check(text, IpAddress::parse);
  check(text, Prefix::parse);
  check(text, parse_mac);
  check(text, parse_mode);
  check(text, parse_flag);
  check(text, parse_addr_policy);
  return 0;
}

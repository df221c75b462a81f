// SPDX-License-Identifier: Apache-2.0
// The JSON bodies of requests, the first byte saying of which.
#include "ipvlanx/api/document.h"

#include "fuzz.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

namespace {

// What was read and is written again reads as the same.
template <class T>
void check(std::string_view body, Result<T> (*read)(std::string_view)) {
  const auto request = read(body);
  if (!request) {
    must(!request.error().message.empty(), "a refusal has a reason");
    return;
  }
  const std::string written = api::write(*request);
  const auto again = read(written);
  must(again && api::write(*again) == written, "what was read can be written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body = text_of(data + 1, size - 1);
  switch (data[0]) {
    case '0':
      check(body, api::read_new_slave);
      break;
    case '1':
      check(body, api::read_slave_change);
      break;
    case '2':
      check(body, api::read_port_change);
      break;
    case '3':
      check(body, api::read_new_address);
      break;
    case '4':
      std::ignore = api::read_nothing(body);
      break;
    case '5':
      check(body, api::read_trace);
      break;
    default:
      std::ignore = api::read_document(body);
  }
  return 0;
}

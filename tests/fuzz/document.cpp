// SPDX-License-Identifier: Apache-2.0
// POST /v1/apply: a document is made so, all or nothing.
#include "fuzz.h"
#include "ipvlanx/control/apply.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto document = api::read_document(text_of(data, size));
  if (!document) return 0;
  World world;
  const std::string before = api::write(save(world.controller));
  const auto applied = apply(world.controller, *document);
  const std::string after = api::write(save(world.controller));
  if (!applied) {
    must(after == before, "a document that is refused changes nothing");
    return 0;
  }
  must(applied->created + applied->changed > 0 || after == before, "what changes is counted");
  const auto saved = api::read_document(after);
  must(saved.has_value(), "what was saved can be read");
  const auto again = apply(world.controller, *saved);
  must(again && again->created == 0 && again->changed == 0, "and says what is so");
  return 0;
}

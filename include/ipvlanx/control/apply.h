// SPDX-License-Identifier: Apache-2.0
// What is wanted of the host as one document, and making it so.
#pragma once

#include <cstdint>

#include "ipvlanx/api/document.h"
#include "ipvlanx/control/controller.h"

namespace ipvlanx {

// All ports and slaves as they are wanted, without what was learnt. A slave in a namespace
// without a name is left out: nobody could find it again; and one with an owner, who makes its own.
api::Document save(Controller& controller);

struct Applied {
  std::uint32_t created = 0;  // ports and slaves
  std::uint32_t changed = 0;
};

// Makes it so, all or nothing. What the document does not name stays as it is: other
// programs have slaves, too. An error bears the field at fault, such as `slaves[3].netns`.
Result<Applied> apply(Controller& controller, const api::Document& document);

}  // namespace ipvlanx

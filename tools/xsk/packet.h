// SPDX-License-Identifier: Apache-2.0
// What lies where in a frame: as everywhere in ipvlanx.
#pragma once

#include "ipvlanx/model/wire.h"

namespace ipvlanx::xsk {

using namespace wire;

}  // namespace ipvlanx::xsk

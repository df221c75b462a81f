// SPDX-License-Identifier: Apache-2.0
// What do these words mean? iproute2's grammar, without its prefix matching:
//
//     [ OPTIONS ] OBJECT { COMMAND | help }
#pragma once

#include "command.h"
#include "options.h"
#include "parsed.h"

namespace ipvlanx::cli {

// `words`: argv without the program's name. Pure.
Parsed<Invocation> parse(Words words);

}  // namespace ipvlanx::cli

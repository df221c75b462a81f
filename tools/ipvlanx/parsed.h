// SPDX-License-Identifier: Apache-2.0
// What becomes of words that are no command? One of three things.
#pragma once

#include <expected>
#include <string>
#include <variant>

#include "ipvlanx/base/result.h"

namespace ipvlanx::cli {

// `help` is among the words.
struct HelpWanted {
  std::string text = {};
};

// A word that is unknown, missing or there twice.
struct Misuse {
  std::string what;
  std::string usage = {};
};

// Error: the words are right, but a value is none the daemon would take.
using NoCommand = std::variant<HelpWanted, Misuse, Error>;

template <class T>
using Parsed = std::expected<T, NoCommand>;

inline std::unexpected<NoCommand> misuse(std::string what) {
  return std::unexpected<NoCommand>{Misuse{std::move(what)}};
}

}  // namespace ipvlanx::cli

// SPDX-License-Identifier: Apache-2.0
// How do counters and frames look in a failed check? Catch2 prints maps as {?}.
#pragma once

#include "catch.h"
#include "check.h"

template <>
struct Catch::StringMaker<ipvlanx::test::Counters> {
  static std::string convert(const ipvlanx::test::Counters& counters) {
    std::string text;
    for (const auto& [name, value] : counters) text += name + " " + std::to_string(value) + "\n";
    return text.empty() ? "no counter" : text;
  }
};

template <>
struct Catch::StringMaker<ipvlanx::test::Heard> {
  static std::string convert(const ipvlanx::test::Heard& heard) {
    std::string text;
    for (const auto& [ear, frames] : heard)
      for (const auto& frame : frames) text += ear + ": " + ipvlanx::test::hex(frame) + "\n";
    return text.empty() ? "no frame" : text;
  }
};

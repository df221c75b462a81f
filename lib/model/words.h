// SPDX-License-Identifier: Apache-2.0
// Enumerations and their words: one table for both directions.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

template <class E>
struct Word {
  std::string_view text;
  E value;
};

template <class E, std::size_t N>
std::string_view word_for(const Word<E> (&words)[N], E value) {
  return std::ranges::find(words, value, &Word<E>::value)->text;
}

template <class E, std::size_t N>
Result<E> value_of(const Word<E> (&words)[N], std::string_view what, std::string_view text) {
  std::string expected;
  for (const auto& word : words) {
    if (word.text == text) return word.value;
    expected += fmt::format("{}'{}'", expected.empty() ? "" : ", ", word.text);
  }
  return fail(Errc::unknown_word, fmt::format("{} '{}' is none of {}", what, text, expected));
}

}  // namespace ipvlanx

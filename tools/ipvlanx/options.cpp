// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <algorithm>
#include <memory>

namespace ipvlanx::cli {

void Options::only(std::string_view word, std::string_view value) {
  options_.push_back({word, Follows::value,
                      [=, seen = std::make_shared<bool>(false)](std::string_view text) -> Parsed<void> {
                        if (std::exchange(*seen, true)) return second_value(word, text);
                        if (text == value) return {};
                        return misuse(
                            fmt::format("\"{}\" can be \"{}\" only, not \"{}\"", word, value, text));
                      }});
}

Parsed<void> Options::read(Words words) const {
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == "help") return std::unexpected<NoCommand>{HelpWanted{}};

    const auto option = std::ranges::find(options_, *word, &Option::word);
    const auto& read = option == options_.end() ? bare_ : option->read;
    if (option != options_.end() && option->follows == Follows::value) {
      if (++word == words.end()) return misuse(fmt::format("\"{}\" needs a value", option->word));
    }
    if (auto done = read(*word); !done) return done;
  }
  return {};
}

std::unexpected<NoCommand> Options::unknown(std::string_view word) {
  return misuse(fmt::format("unknown word \"{}\"", word));
}

std::unexpected<NoCommand> Options::second_value(std::string_view word, std::string_view text) {
  return misuse(fmt::format("duplicate \"{}\": \"{}\" is the second value", word, text));
}

std::unexpected<NoCommand> Options::second_choice(std::string_view word, std::string_view all) {
  return misuse(fmt::format("duplicate \"{}\": only one of {} can be given", word, all));
}

}  // namespace ipvlanx::cli

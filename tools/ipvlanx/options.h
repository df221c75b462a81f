// SPDX-License-Identifier: Apache-2.0
// What may follow a command? A table of options in iproute2's manner: words in any
// order, most with a value after them, each at most once.
//
//     std::optional<Mode> mode;
//     Options options;
//     options.value("mode", "mode", parse_mode, mode);
//     if (auto read = options.read(words); !read) return std::unexpected(read.error());
#pragma once

#include <fmt/format.h>

#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parsed.h"

namespace ipvlanx::cli {

using Words = std::span<const std::string_view>;

// Each `parse` is a function text -> Result<T>, each `field` the API's name of what
// it reads; `out` must outlive read().
class Options {
 public:
  // WORD VALUE
  template <class T, class Parse>
  void value(std::string_view word, std::string_view field, Parse parse, std::optional<T>& out) {
    options_.push_back({word, Follows::value, [=, &out](std::string_view text) -> Parsed<void> {
                          if (out) return second_value(word, text);
                          return assign(parse(text), field, out);
                        }});
  }

  // VALUE, at the first word that is no option's. For `[ name ] NAME` with the `out`
  // of value("name", …).
  template <class T, class Parse>
  void bare(std::string_view field, Parse parse, std::optional<T>& out) {
    bare_ = [=, &out](std::string_view text) -> Parsed<void> {
      if (out) return unknown(text);
      return assign(parse(text), field, out);
    };
  }

  // WORD VALUE, any number of times.
  template <class T, class Parse>
  void values(std::string_view word, std::string_view field, Parse parse, std::vector<T>& out) {
    options_.push_back({word, Follows::value, [=, &out](std::string_view text) -> Parsed<void> {
                          std::optional<T> one;
                          auto read = assign(parse(text), fmt::format("{}[{}]", field, out.size()), one);
                          if (read) out.push_back(*std::move(one));
                          return read;
                        }});
  }

  // One of several words that stand alone.
  template <class T>
  void one_of(std::initializer_list<std::pair<std::string_view, T>> choices, std::optional<T>& out) {
    std::string all;
    for (const auto& [word, value] : choices) all += fmt::format("{}{}", all.empty() ? "" : ", ", word);
    for (const auto& [word, value] : choices) {
      options_.push_back({word, Follows::nothing, [value, all, &out](std::string_view text) -> Parsed<void> {
                            if (out) return second_choice(text, all);
                            out = value;
                            return {};
                          }});
    }
  }

  // WORD with the only value there is: `type ipvlan`.
  void only(std::string_view word, std::string_view value);

  Parsed<void> read(Words words) const;

 private:
  using Read = std::function<Parsed<void>(std::string_view text)>;
  enum class Follows { nothing, value };
  struct Option {
    std::string_view word;
    Follows follows;
    Read read;
  };

  template <class T>
  static Parsed<void> assign(Result<T> value, std::string_view field, std::optional<T>& out) {
    if (!value) return std::unexpected<NoCommand>{std::move(value).error().at(field)};
    out = *std::move(value);
    return {};
  }

  static std::unexpected<NoCommand> unknown(std::string_view word);
  static std::unexpected<NoCommand> second_value(std::string_view word, std::string_view text);
  static std::unexpected<NoCommand> second_choice(std::string_view word, std::string_view all);

  std::vector<Option> options_;
  Read bare_ = unknown;
};

}  // namespace ipvlanx::cli

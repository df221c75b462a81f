// SPDX-License-Identifier: Apache-2.0
#include "grammar.h"

#include <algorithm>

#include "commands.h"
#include "help.h"

namespace ipvlanx::cli {

namespace {

std::unexpected<NoCommand> help(std::string text) {
  return std::unexpected<NoCommand>{HelpWanted{std::move(text)}};
}

std::unexpected<NoCommand> misuse(std::string what, std::string usage) {
  return std::unexpected<NoCommand>{Misuse{std::move(what), std::move(usage)}};
}

// Takes the options before the object from `words`. As iproute2 does, reads --word
// as -word.
Parsed<void> take_global_options(Words& words, Invocation& out) {
  while (!words.empty() && words.front().starts_with('-')) {
    auto option = words.front();
    words = words.subspan(1);
    if (option.starts_with("--")) option.remove_prefix(1);

    if (option == "-j" || option == "-json") {
      out.json = true;
    } else if (option == "-p" || option == "-pretty") {
      out.pretty = true;
    } else if (option == "-s" || option == "-statistics") {
      out.statistics = true;
    } else if (option == "-h" || option == "-help") {
      return help(full_help());
    } else if (option == "-socket") {
      if (words.empty()) return misuse("\"--socket\" needs a value", synopsis());
      if (out.socket) return misuse("duplicate \"--socket\"", synopsis());
      out.socket = words.front();
      words = words.subspan(1);
    } else {
      return misuse(fmt::format("unknown option \"{}\"", option), synopsis());
    }
  }
  return {};
}

// The readers of commands know what is wrong; how it would be right is said here.
NoCommand explained(NoCommand reason, std::span<const CommandRow> row) {
  if (auto* wanted = std::get_if<HelpWanted>(&reason)) wanted->text = help_on(row);
  if (auto* wrong = std::get_if<Misuse>(&reason)) wrong->usage = usage_of(row);
  return reason;
}

// `rows`: an object's; `words`: what follows it.
Parsed<Command> read_command(std::span<const CommandRow> rows, Words words) {
  std::string_view wanted;
  if (!rows.front().command.empty()) {
    wanted = words.empty() ? "show" : words.front();
    words = words.subspan(std::min<std::size_t>(words.size(), 1));
  }
  if (wanted == "help") return help(help_on(rows));

  const auto row = std::ranges::find(rows, wanted, &CommandRow::command);
  if (row == rows.end()) return misuse(fmt::format("unknown command \"{}\"", wanted), usage_of(rows));

  auto command = row->read(words);
  if (!command) return std::unexpected(explained(std::move(command).error(), {row, 1}));
  return command;
}

}  // namespace

Parsed<Invocation> parse(Words words) {
  Invocation invocation;
  if (auto taken = take_global_options(words, invocation); !taken) return std::unexpected(taken.error());
  if (words.empty()) return misuse("an OBJECT is missing", full_help());

  const auto object = words.front();
  if (object == "help") return help(full_help());
  const auto rows = commands_of(object);
  if (rows.empty()) return misuse(fmt::format("unknown object \"{}\"", object), full_help());

  auto command = read_command(rows, words.subspan(1));
  if (!command) return std::unexpected(command.error());
  invocation.command = *std::move(command);
  return invocation;
}

}  // namespace ipvlanx::cli

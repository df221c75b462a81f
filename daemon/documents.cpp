// SPDX-License-Identifier: Apache-2.0
#include "documents.h"

#include <fmt/format.h>
#include <net/if.h>

#include <utility>

#include "ipvlanx/base/files.h"
#include "log.h"

namespace ipvlanx::daemon {

namespace {

Error of_file(const std::string& file, Error error) {
  if (!error.field.empty()) error.message += fmt::format(" (field: {})", error.field);
  return std::move(error).within(file);
}

void complain(const Error& error) {
  log_error(fmt::format("not applied: {}", error.message));
}

std::string missing_master(const IfName& name) {
  if (::if_nametoindex(name.str().c_str()) != 0) return {};
  return fmt::format("there is no interface '{}'", name.str());
}

}  // namespace

Result<api::Document> read_document_file(const std::string& file) {
  const auto text = read_file(file);
  if (!text) return std::unexpected(text.error());
  if (!*text) return fail(Errc::bad_request, fmt::format("{}: there is no such file", file));
  auto document = api::read_document(**text);
  if (!document) return std::unexpected(of_file(file, std::move(document.error())));
  return document;
}

Documents::Documents(Controller& controller, const std::vector<std::string>& files)
    : controller_(controller) {
  for (const std::string& file : files) {
    auto document = read_document_file(file);
    if (document) {
      waiting_.push_back({file, *std::move(document)});
    } else {
      complain(document.error());
    }
  }
}

void Documents::apply() {
  for (auto& waiting : std::exchange(waiting_, {})) {
    const std::string missing = this->missing(waiting.document);
    if (!missing.empty()) {
      if (missing != waiting.missing) log_warning(fmt::format("{}: waits: {}", waiting.file, missing));
      waiting.missing = missing;
      waiting_.push_back(std::move(waiting));
      continue;
    }
    auto applied = ipvlanx::apply(controller_, waiting.document);
    if (applied) {
      log_info(fmt::format("{}: created {}, changed {}", waiting.file, applied->created, applied->changed));
    } else {
      complain(of_file(waiting.file, std::move(applied.error())));
    }
  }
}

// What the document names and the host has not, or nothing.
std::string Documents::missing(const api::Document& document) {
  for (const api::WantedPort& port : document.ports) {
    if (auto missing = missing_master(port.master); !missing.empty()) return missing;
  }
  for (const api::WantedSlave& slave : document.slaves) {
    if (auto missing = missing_master(slave.master); !missing.empty()) return missing;
    if (!slave.netns) continue;
    if (const auto netns = controller_.find_netns(*slave.netns); !netns) return netns.error().message;
  }
  return {};
}

}  // namespace ipvlanx::daemon

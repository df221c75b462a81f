// SPDX-License-Identifier: Apache-2.0
#include "documents.h"

#include <fmt/format.h>

#include "ipvlanx/base/files.h"
#include "log.h"

namespace ipvlanx::daemon {

namespace {

Error of_file(const std::string& file, Error error) {
  if (!error.field.empty()) error.message += fmt::format(" (field: {})", error.field);
  return std::move(error).within(file);
}

Result<Applied> apply_file(Controller& controller, const std::string& file) {
  const auto document = read_document_file(file);
  if (!document) return std::unexpected(document.error());
  auto applied = apply(controller, *document);
  if (!applied) return std::unexpected(of_file(file, std::move(applied.error())));
  return applied;
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

void apply_documents(Controller& controller, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const auto applied = apply_file(controller, file);
    if (applied) {
      log_info(fmt::format("{}: created {}, changed {}", file, applied->created, applied->changed));
    } else {
      log_error(fmt::format("not applied: {}", applied.error().message));
    }
  }
}

}  // namespace ipvlanx::daemon

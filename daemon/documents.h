// SPDX-License-Identifier: Apache-2.0
// What is wanted of the host from its start on: documents as `ipvlanx save` writes them,
// named by [apply] file.
#pragma once

#include <string>
#include <vector>

#include "ipvlanx/control/apply.h"

namespace ipvlanx::daemon {

// What of this file is wanted. An error names the file and the field.
Result<api::Document> read_document_file(const std::string& file);

// Each of them all or nothing; one that cannot be applied is logged, and the next one is.
void apply_documents(Controller& controller, const std::vector<std::string>& files);

}  // namespace ipvlanx::daemon

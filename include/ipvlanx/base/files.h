// SPDX-License-Identifier: Apache-2.0
// Files that are whole at every moment.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

// The file has its old content or this one, whatever happens: written beside it, synced,
// renamed, and the folder synced. Mode 0600.
Result<void> replace_file(const std::string& path, std::string_view text);

// All of it; nullopt: there is no such file.
Result<std::optional<std::string>> read_file(const std::string& path);

// Names, made or gone, of the file's folder are on disk.
Result<void> sync_folder_of(const std::string& path);

}  // namespace ipvlanx

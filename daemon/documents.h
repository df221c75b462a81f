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

// Each of them all or nothing, in their order, and each once. One that names a master or a
// namespace which is not there waits for it: at boot NICs may come later than the daemon.
// What becomes of each is logged. Borrows the controller.
class Documents {
 public:
  Documents(Controller& controller, const std::vector<std::string>& files);

  // Applies those that wait for nothing any more.
  void apply();
  bool waiting() const { return !waiting_.empty(); }

 private:
  struct Waiting {
    std::string file;
    api::Document document;
    std::string missing = {};  // has been said
  };

  std::string missing(const api::Document& document);

  Controller& controller_;
  std::vector<Waiting> waiting_;
};

}  // namespace ipvlanx::daemon

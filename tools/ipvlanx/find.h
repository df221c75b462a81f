// SPDX-License-Identifier: Apache-2.0
// Which slave does the user mean?
#pragma once

#include <string>
#include <vector>

#include "command.h"
#include "ipvlanx/client.h"

namespace ipvlanx::cli {

// Asks the daemon: first for a slave named `word`, then, if the word has an '@', for
// NAME@NETNS, and last, if it is a number, for the id. With `master`, among its slaves.
Result<api::SlaveReply> find_slave(Client& client, const SlaveWord& word,
                                   const std::optional<IfName>& master = {});

// The one slave among those that go by `word`. None is no_such_slave; of several,
// the error lists what tells them apart. Pure.
Result<api::SlaveReply> the_only_one(std::vector<api::SlaveReply> candidates, const SlaveWord& word);

}  // namespace ipvlanx::cli

// SPDX-License-Identifier: Apache-2.0
// One lambda for each kind of a variant, for std::visit().
#pragma once

namespace ipvlanx {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

}  // namespace ipvlanx

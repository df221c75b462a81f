// SPDX-License-Identifier: Apache-2.0
// A slave's addresses: in the order they came, and found by address.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ipvlanx/model/types.h"

namespace ipvlanx {

enum class Origin { api, learnt };
std::string_view to_string(Origin origin);

// Why an address of a slave does not steer although the slave has it.
enum class Refusal { none, reserved, too_many };

struct Address {
  Prefix prefix;
  Origin origin = Origin::learnt;
  Refusal refusal = Refusal::none;
  bool operator==(const Address&) const = default;
};

// One entry per IP address. Thousands are found in little more time than one, and copied
// as two blocks.
class AddressList {
 public:
  AddressList() = default;
  AddressList(std::initializer_list<Address> list) : AddressList(std::vector<Address>{list}) {}
  explicit AddressList(std::vector<Address> list);

  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  std::size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }

  const Address* find(const IpAddress& address) const;

  // At the end; one that is not there yet.
  void push_back(const Address& address);
  void erase(const IpAddress& address);
  void erase(Origin origin);
  // Of one that is there.
  void set_origin(const IpAddress& address, Origin origin);

  bool operator==(const AddressList& other) const { return list_ == other.list_; }

  // Of two lists, what is between the part that both begin with and the part that both end
  // with: what came and went, and little else.
  struct Difference {
    std::span<const Address> before;
    std::span<const Address> after;
  };
  static Difference difference(const AddressList& before, const AddressList& after);

 private:
  using Index = std::vector<std::uint32_t>;
  Index::const_iterator place_of(const IpAddress& address) const;
  bool is_at(Index::const_iterator place, const IpAddress& address) const;
  void sort();

  std::vector<Address> list_;
  Index by_address_;  // positions in list_, in the order of their addresses
};

}  // namespace ipvlanx

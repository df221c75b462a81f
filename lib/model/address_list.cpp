// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/model/address_list.h"

#include <algorithm>
#include <numeric>

namespace ipvlanx {

std::string_view to_string(Origin origin) {
  return origin == Origin::api ? "api" : "learnt";
}

AddressList::AddressList(std::vector<Address> list) : list_(std::move(list)) {
  sort();
}

const Address* AddressList::find(const IpAddress& address) const {
  const auto place = place_of(address);
  return is_at(place, address) ? &list_[*place] : nullptr;
}

void AddressList::push_back(const Address& address) {
  by_address_.insert(place_of(address.prefix.address), static_cast<std::uint32_t>(list_.size()));
  list_.push_back(address);
}

void AddressList::erase(const IpAddress& address) {
  const auto place = place_of(address);
  if (!is_at(place, address)) return;
  const std::uint32_t position = *place;
  by_address_.erase(place);
  list_.erase(list_.begin() + position);
  for (std::uint32_t& other : by_address_) {
    if (other > position) --other;
  }
}

void AddressList::erase(Origin origin) {
  std::erase_if(list_, [&](const Address& address) { return address.origin == origin; });
  sort();
}

void AddressList::set_origin(const IpAddress& address, Origin origin) {
  list_[*place_of(address)].origin = origin;
}

AddressList::Difference AddressList::difference(const AddressList& before, const AddressList& after) {
  const auto [old_begin, new_begin] = std::mismatch(before.begin(), before.end(), after.begin(), after.end());
  const auto [old_end, new_end] = std::mismatch(before.list_.rbegin(), std::make_reverse_iterator(old_begin),
                                                after.list_.rbegin(), std::make_reverse_iterator(new_begin));
  return {{old_begin, old_end.base()}, {new_begin, new_end.base()}};
}

AddressList::Index::const_iterator AddressList::place_of(const IpAddress& address) const {
  return std::ranges::lower_bound(by_address_, address, {}, [&](std::uint32_t at) -> const IpAddress& {
    return list_[at].prefix.address;
  });
}

bool AddressList::is_at(Index::const_iterator place, const IpAddress& address) const {
  return place != by_address_.end() && list_[*place].prefix.address == address;
}

void AddressList::sort() {
  by_address_.resize(list_.size());
  std::iota(by_address_.begin(), by_address_.end(), 0u);
  std::ranges::sort(by_address_, {},
                    [&](std::uint32_t at) -> const IpAddress& { return list_[at].prefix.address; });
}

}  // namespace ipvlanx

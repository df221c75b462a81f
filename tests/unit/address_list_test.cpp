// SPDX-License-Identifier: Apache-2.0
// A list that is kept in two orders is one list.
#include "ipvlanx/model/address_list.h"

#include <algorithm>
#include <random>

#include "catch.h"

using namespace ipvlanx;

namespace {

Address address(int last, Origin origin = Origin::learnt) {
  return {*Prefix::parse("10.0.0." + std::to_string(last) + "/24"), origin};
}

AddressList list(std::initializer_list<int> all) {
  AddressList list;
  for (const int last : all) list.push_back(address(last));
  return list;
}

// Every entry is found, and nothing else is.
bool is_sound(const AddressList& list) {
  int found = 0;
  for (int last = 1; last < 255; ++last) {
    const Address* one = list.find(address(last).prefix.address);
    if (!one) continue;
    ++found;
    if (one->prefix != address(last).prefix) return false;
  }
  return static_cast<std::size_t>(found) == list.size();
}

std::size_t length(const AddressList::Difference& difference) {
  return difference.before.size() + difference.after.size();
}

}  // namespace

TEST_CASE("addresses stay in the order they came, and are found") {
  AddressList some = list({7, 3, 9});
  CHECK(some == AddressList{address(7), address(3), address(9)});
  CHECK(some != list({3, 7, 9}));
  CHECK(is_sound(some));
  CHECK(some.find(address(4).prefix.address) == nullptr);

  some.erase(address(3).prefix.address);
  some.erase(address(4).prefix.address);
  CHECK(some == list({7, 9}));
  some.push_back(address(3));
  CHECK(some == list({7, 9, 3}));
  CHECK(is_sound(some));

  some.set_origin(address(9).prefix.address, Origin::api);
  some.erase(Origin::learnt);
  CHECK(some == AddressList{address(9, Origin::api)});
  CHECK(is_sound(some));
}

TEST_CASE("addresses that come and go at random are found") {
  std::mt19937 random{GENERATE(1u, 2u, 3u)};
  AddressList list;
  std::vector<Address> plain;
  for (int step = 0; step < 500; ++step) {
    const Address one = address(1 + static_cast<int>(random() % 60));
    const auto at = std::ranges::find(plain, one);
    if (at == plain.end()) {
      plain.push_back(one);
      list.push_back(one);
    } else {
      plain.erase(at);
      list.erase(one.prefix.address);
    }
    REQUIRE(std::ranges::equal(list, plain));
    REQUIRE(is_sound(list));
    REQUIRE(AddressList{plain} == list);
  }
}

TEST_CASE("the difference of two lists is what came and went") {
  const AddressList before = list({1, 2, 3, 4, 5});
  CHECK(length(AddressList::difference(before, before)) == 0);
  CHECK(length(AddressList::difference({}, before)) == 5);
  CHECK(length(AddressList::difference(before, {})) == 5);

  const AddressList with_6 = list({1, 2, 3, 4, 5, 6});
  const auto came = AddressList::difference(before, with_6);
  CHECK(came.before.empty());
  REQUIRE(came.after.size() == 1);
  CHECK(came.after[0] == address(6));

  const AddressList without_3 = list({1, 2, 4, 5});
  const auto went = AddressList::difference(before, without_3);
  REQUIRE(went.before.size() == 1);
  CHECK(went.before[0] == address(3));
  CHECK(went.after.empty());

  const AddressList one = list({1, 2, 3});
  const AddressList turned = list({1, 3, 2});
  const auto moved = AddressList::difference(one, turned);
  CHECK(moved.before.size() == 2);
  CHECK(moved.after.size() == 2);

  AddressList other = before;
  other.set_origin(address(2).prefix.address, Origin::api);
  const auto changed = AddressList::difference(before, other);
  REQUIRE(changed.after.size() == 1);
  CHECK(changed.after[0] == address(2, Origin::api));
}

// SPDX-License-Identifier: Apache-2.0
// The model's rows as datapath_abi.h has them, and back.
#pragma once

#include "ipvlanx/datapath_abi.h"
#include "ipvlanx/model/tables.h"

namespace ipvlanx::abi {

ipvx_port_key key(const PortRow& row);
ipvx_port value(const PortRow& row);
PortRow row(const ipvx_port_key& key, const ipvx_port& value);

ipvx_slave_key key(const SlaveRow& row);
ipvx_slave value(const SlaveRow& row);
SlaveRow row(const ipvx_slave_key& key, const ipvx_slave& value);

ipvx_member_key key(const MemberRow& row);
ipvx_member value(const MemberRow& row);
MemberRow row(const ipvx_member_key& key, const ipvx_member& value);

ipvx_addr_key key(const AddressRow& row);
ipvx_addr value(const AddressRow& row);
// A key of a family we do not know gives an address no slave can have.
AddressRow row(const ipvx_addr_key& key, const ipvx_addr& value);

}  // namespace ipvlanx::abi

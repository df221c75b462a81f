// SPDX-License-Identifier: Apache-2.0
// The JSON a client sends.
#include "ipvlanx/api/replies.h"
#include "ipvlanx/api/requests.h"

namespace ipvlanx::api {

namespace {

using nlohmann::json;

void put(json& out, const char* key, const std::optional<std::string>& text) {
  if (text) out[key] = *text;
}

void put(json& out, const char* key, const std::optional<std::uint32_t>& number) {
  if (number) out[key] = *number;
}

void put(json& out, const char* key, const std::optional<bool>& value) {
  if (value) out[key] = *value;
}

// Mode, Flag, AddrPolicy: as their word.
template <class Word>
  requires std::is_enum_v<Word>
void put(json& out, const char* key, const std::optional<Word>& word) {
  if (word) out[key] = to_string(*word);
}

}  // namespace

std::string write(const NewSlave& request) {
  json out{{"master", request.master.str()}, {"name", request.name.str()}};
  put(out, "netns", request.netns);
  put(out, "mode", request.mode);
  put(out, "flag", request.flag);
  put(out, "mtu", request.mtu);
  put(out, "via", request.via);
  put(out, "addr_policy", request.addr_policy);
  put(out, "max_addresses", request.max_addresses);
  if (!request.addresses.empty()) {
    json& addresses = out["addresses"] = json::array();
    for (const Prefix& prefix : request.addresses) addresses.push_back(to_string(prefix));
  }
  return to_text(out);
}

std::string write(const SlaveChange& request) {
  json out = json::object();
  put(out, "mode", request.mode);
  put(out, "flag", request.flag);
  put(out, "netns", request.netns);
  put(out, "mtu", request.mtu);
  put(out, "up", request.up);
  put(out, "addr_policy", request.addr_policy);
  put(out, "max_addresses", request.max_addresses);
  return to_text(out);
}

std::string write(const PortChange& request) {
  json out = json::object();
  put(out, "mode", request.mode);
  put(out, "flag", request.flag);
  put(out, "strict_private", request.strict_private);
  put(out, "announce", request.announce);
  put(out, "xdp", request.xdp);
  return to_text(out);
}

std::string write(const TraceRequest& request) {
  json out{{"master", request.master.str()},
           {"direction", request.slave ? "tx" : "rx"},
           {"dst", to_string(request.dst)},
           {"proto", to_string(request.proto)}};
  if (request.slave) out["slave"] = number(*request.slave);
  if (request.src) out["src"] = to_string(*request.src);
  put(out, "sport", request.sport);
  put(out, "dport", request.dport);
  return to_text(out);
}

std::string write(const NewAddress& request) {
  return to_text(json{{"address", to_string(request.address)}});
}

}  // namespace ipvlanx::api

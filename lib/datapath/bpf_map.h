// SPDX-License-Identifier: Apache-2.0
// A BPF map with its types: keys and values of datapath_abi.h, never void pointers.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

// Borrows the map from its skeleton, which outlives it.
template <class Key, class Value>
class BpfMap {
  // No hidden padding may enter a key.
  static_assert(std::has_unique_object_representations_v<Key>);
  static_assert(std::is_trivially_copyable_v<Value>);

 public:
  explicit BpfMap(const bpf_map* map) : fd_(bpf_map__fd(map)), name_(bpf_map__name(map)) {}

  Result<void> write(const Key& key, const Value& value) { return update(key, &value, BPF_ANY); }

  Result<void> erase(const Key& key) {
    if (bpf_map_delete_elem(fd_, &key) < 0 && errno != ENOENT) return error("delete");
    return {};
  }

  std::optional<Value> read(const Key& key) const {
    Value value;
    if (bpf_map_lookup_elem(fd_, &key, &value) < 0) return std::nullopt;
    return value;
  }

  std::uint64_t most() const {
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    return bpf_obj_get_info_by_fd(fd_, &info, &size) == 0 ? info.max_entries : 0;
  }
  const std::string& name() const { return name_; }
  Result<std::uint64_t> count() const {
    std::uint64_t entries = 0;
    auto done = each_batch([&](std::span<const Key> keys, const std::byte*) { entries += keys.size(); });
    if (!done) return std::unexpected(done.error());
    return entries;
  }

  // Only for maps whose keys the daemon alone adds and removes.
  std::vector<Key> keys() const {
    std::vector<Key> keys;
    Key next;
    const Key* from = nullptr;
    while (bpf_map_get_next_key(fd_, from, &next) == 0) {
      keys.push_back(next);
      from = &keys.back();
    }
    return keys;
  }

 protected:
  // All entries of a hash, many at a time: none twice, whoever adds and removes meanwhile. The
  // values lie one behind the other.
  template <class See>
  Result<void> each_batch(See see) const {
    std::uint32_t room = 512;
    std::vector<Key> keys(room);
    std::vector<std::byte> values(room * value_size_);
    std::uint32_t position = 0;
    for (bool first = true;; first = false) {
      std::uint32_t count = room;
      const int done = bpf_map_lookup_batch(fd_, first ? nullptr : &position, &position, keys.data(),
                                            values.data(), &count, nullptr);
      const int problem = done < 0 ? errno : 0;
      // One bucket of the hash has more entries than there is room for.
      if (problem == ENOSPC) {
        room *= 2;
        keys.resize(room);
        values.resize(room * value_size_);
        continue;
      }
      if (problem != 0 && problem != ENOENT) return error("read");
      see(std::span{keys}.first(count), values.data());
      if (problem == ENOENT) return {};
    }
  }

  // With BPF_NOEXIST, one that is there stays as it is.
  Result<void> update(const Key& key, const void* value, std::uint64_t flags) {
    // Entries come from a stock that the kernel refills behind our back: with many in a row
    // it may have run out, for a moment.
    constexpr int kAttempts = 100;
    constexpr std::chrono::milliseconds kPause{1};
    for (int attempt = 1; bpf_map_update_elem(fd_, &key, value, flags) < 0; ++attempt) {
      if (errno == EEXIST && flags == BPF_NOEXIST) return {};
      if (errno == E2BIG || errno == ENOSPC) return fail(Errc::map_full, fmt::format("{} is full", name_));
      if (errno != ENOMEM || attempt == kAttempts) return error("update");
      std::this_thread::sleep_for(kPause);
    }
    return {};
  }

  std::unexpected<Error> error(std::string_view what) const {
    return kernel_error(fmt::format("{}: {}", name_, what), errno);
  }

  int fd_;
  std::string name_;
  std::size_t value_size_ = sizeof(Value);  // as the kernel copies it
};

// One value per CPU: counters that nobody has to lock.
template <class Key, class Value>
class PerCpuMap : public BpfMap<Key, Value> {
  static_assert(sizeof(Value) % 8 == 0, "the kernel rounds each CPU's value up");

 public:
  explicit PerCpuMap(const bpf_map* map)
      : BpfMap<Key, Value>(map), cpus_(static_cast<std::size_t>(libbpf_num_possible_cpus())) {
    this->value_size_ = cpus_ * sizeof(Value);
  }

  // A new entry of zeros; one that is there keeps counting.
  Result<void> start(const Key& key) {
    const std::vector<Value> zeros(cpus_);
    return this->update(key, zeros.data(), BPF_NOEXIST);
  }

  // One value for each CPU, or none when there is no such entry.
  std::vector<Value> read(const Key& key) const {
    std::vector<Value> values(cpus_);
    if (bpf_map_lookup_elem(this->fd_, &key, values.data()) < 0) values.clear();
    return values;
  }

  // Each key with its values, one for each CPU.
  template <class See>
  Result<void> each(See see) const {
    return this->each_batch([&](std::span<const Key> keys, const std::byte* bytes) {
      std::vector<Value> values(cpus_);
      for (const Key& key : keys) {
        std::memcpy(values.data(), bytes, this->value_size_);
        bytes += this->value_size_;
        see(key, values);
      }
    });
  }

 private:
  std::size_t cpus_;
};

}  // namespace ipvlanx

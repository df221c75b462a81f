// SPDX-License-Identifier: Apache-2.0
// The desired state on disk: a snapshot (`state.json`) and a journal of what changed since
// (`state.journal`), so that a change costs as much with 5,000 slaves as with one.
//
// The snapshot is replaced as a whole: written beside, synced, renamed, and the folder
// synced. The journal is lines of JSON: the first, {"journal": 7}, says which snapshot it
// continues, so that one that the snapshot contains already is nothing; each other is one
// change, {"changes": […]}, whole or not there. A last line that is torn is a change nobody
// was told of.
#pragma once

#include <optional>
#include <string>

#include "journal.h"
#include "saved_state.h"

namespace ipvlanx {

// Owned by the controller, on its thread.
class StateFile {
 public:
  // `path`: the snapshot's; the journal is beside it.
  StateFile(std::string path, std::string boot);

  // What the files hold; nullopt: there are none. bad_json: not to be understood, with a
  // sentence why; anything else: not to be read.
  Result<std::optional<SavedState>> read() const;
  // Gives what cannot be understood a second name, `state.json.refused-<n>` (and the
  // journal `state.journal.refused-<n>`), never one that is taken, and returns it. The
  // first name stays until the next snapshot takes it: there is no moment without a state.
  Result<std::string> keep_aside() const;

  const std::string& boot() const { return boot_; }
  const SavedState& known() const { return known_; }
  // From now on this is known, of this boot. On disk with the next write_snapshot().
  void start_from(SavedState state);
  // The same, of these two.
  void set_waiting(std::vector<WaitingPort> waiting, SlaveId last_id);

  // The user's changes: on disk when this returns, or not at all.
  Result<void> commit(const std::vector<Record>& records);
  // What happened by itself: known in any case; on disk soon, but a power loss may cost it.
  Result<void> note(const std::vector<Record>& records);
  // Everything known. Until this has been done once, nothing is on disk.
  Result<void> write_snapshot();
  // write_snapshot() where the journal has outgrown what it tells.
  Result<void> tidy();

 private:
  Result<void> append(const std::vector<Record>& news);
  Result<void> in_snapshot(const std::vector<Record>& news);
  std::vector<Record> news(const std::vector<Record>& records) const;

  std::string path_;
  std::string journal_path_;
  std::string boot_;
  SavedState known_;
  std::optional<Journal> journal_;  // none: the next thing to be written is a snapshot
  bool unsynced_ = false;           // the journal's last lines
  std::uint64_t snapshot_size_ = 0;
  std::uint64_t tidy_at_ = 0;  // the journal's size
};

}  // namespace ipvlanx

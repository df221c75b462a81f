// SPDX-License-Identifier: Apache-2.0
#include "state_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <tuple>
#include <utility>

#include "ipvlanx/base/files.h"

namespace ipvlanx {

namespace {

constexpr std::uint64_t kSmallJournal = 65536;

// Gives the file a second name that ends in the first free number.
Result<std::string> keep(const std::string& path, int& n) {
  for (;; ++n) {
    std::string name = fmt::format("{}.refused-{}", path, n);
    if (::link(path.c_str(), name.c_str()) == 0) return name;
    if (errno != EEXIST) return kernel_error(name, errno);
  }
}

// The changes of the journal, if it continues this snapshot.
Result<void> replay(std::string_view text, SavedState& state) {
  bool header = true;
  std::optional<Error> bad;
  while (true) {
    const auto end = text.find('\n');
    if (end == text.npos) return {};  // what follows is torn
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (header) {
      header = false;
      const auto journal = parse_header(line);
      if (!journal) return std::unexpected(journal.error());
      if (*journal != state.journal) return {};
      continue;
    }
    const auto records = parse_records(line);
    if (!records) {
      // A power loss may leave pages of the last lines unwritten, with the end written.
      if (!bad) bad = records.error();
      continue;
    }
    if (bad) return std::unexpected(std::move(*bad));
    for (const Record& record : *records) state.apply(record);
  }
}

}  // namespace

StateFile::StateFile(std::string path, std::string boot)
    : path_(std::move(path)),
      journal_path_(std::filesystem::path{path_}.replace_extension("journal")),
      boot_(std::move(boot)) {
  known_.boot = boot_;
}

Result<std::optional<SavedState>> StateFile::read() const {
  const auto text = read_file(path_);
  if (!text) return std::unexpected(text.error());
  if (!*text) return std::nullopt;
  auto state = parse_state(**text);
  if (!state) return std::unexpected(std::move(state.error()).within(path_));
  const auto journal = read_file(journal_path_);
  if (!journal) return std::unexpected(journal.error());
  if (*journal) {
    if (auto done = replay(**journal, *state); !done) {
      return std::unexpected(std::move(done.error()).within(journal_path_));
    }
  }
  return std::move(*state);
}

Result<std::string> StateFile::keep_aside() const {
  int n = 1;
  auto name = keep(path_, n);
  if (!name) return name;
  const auto journal = keep(journal_path_, n);
  if (!journal && std::filesystem::exists(journal_path_)) return journal;
  if (auto synced = sync_folder_of(path_); !synced) return std::unexpected(synced.error());
  return name;
}

void StateFile::start_from(SavedState state) {
  const auto journal = known_.journal;
  known_ = std::move(state);
  known_.boot = boot_;
  known_.journal = std::max(known_.journal, journal);
  journal_.reset();
}

void StateFile::set_waiting(std::vector<WaitingPort> waiting, SlaveId last_id) {
  known_.waiting = std::move(waiting);
  known_.last_id = last_id;
  journal_.reset();
}

std::vector<Record> StateFile::news(const std::vector<Record>& records) const {
  std::vector<Record> news;
  std::ranges::copy_if(records, std::back_inserter(news),
                       [&](const Record& record) { return known_.is_news(record); });
  return news;
}

Result<void> StateFile::commit(const std::vector<Record>& records) {
  const auto news = this->news(records);
  if (news.empty()) return {};
  if (!journal_) return in_snapshot(news);

  // What is not synced yet comes first: a whole line after a torn one is damage.
  if (std::exchange(unsynced_, false)) {
    if (auto synced = journal_->sync(); !synced) return in_snapshot(news);
  }
  const auto before = journal_->size();
  if (auto appended = append(news); !appended) return appended;
  if (auto synced = journal_->sync(); !synced) {
    // Which of its pages are on disk nobody knows: this journal is not written to again.
    std::ignore = journal_->cut(before);
    journal_.reset();
    return std::unexpected(std::move(synced.error()).within(journal_path_));
  }
  for (const Record& record : news) known_.apply(record);
  return {};
}

Result<void> StateFile::in_snapshot(const std::vector<Record>& news) {
  SavedState before = known_;
  for (const Record& record : news) known_.apply(record);
  auto written = write_snapshot();
  if (!written) {
    before.journal = known_.journal;
    known_ = std::move(before);
    std::ignore = write_snapshot();  // what failed may have been renamed already
  }
  return written;
}

Result<void> StateFile::note(const std::vector<Record>& records) {
  const auto news = this->news(records);
  for (const Record& record : news) known_.apply(record);
  if (news.empty() || !journal_) return {};
  auto appended = append(news);
  if (!appended) journal_.reset();
  unsynced_ = true;
  return appended;
}

Result<void> StateFile::append(const std::vector<Record>& news) {
  std::string text = journal_->size() == 0 ? header_line(known_.journal) + "\n" : "";
  text += record_line(news) + "\n";
  auto appended = journal_->append(text);
  if (appended) return {};
  return std::unexpected(std::move(appended.error()).within(journal_path_));
}

Result<void> StateFile::write_snapshot() {
  journal_.reset();
  auto journal = Journal::open(journal_path_);
  if (!journal) return std::unexpected(journal.error());
  // Also when it fails: it may have succeeded as far as the disk knows.
  ++known_.journal;
  const std::string text = to_text(known_);
  if (auto done = replace_file(path_, text); !done) {
    return std::unexpected(std::move(done.error()).within(path_));
  }
  if (auto cut = journal->cut(0); !cut) return std::unexpected(std::move(cut.error()).within(journal_path_));
  journal_ = std::move(*journal);
  unsynced_ = false;
  snapshot_size_ = text.size();
  tidy_at_ = snapshot_size_ + kSmallJournal;
  return {};
}

Result<void> StateFile::tidy() {
  if (!journal_ || journal_->size() < tidy_at_) return {};
  return write_snapshot();
}

}  // namespace ipvlanx

// SPDX-License-Identifier: Apache-2.0
// Does the owner of a descriptor own it, also when it moves? Does an error keep its
// words on its way up?
#include <fcntl.h>

#include <cerrno>
#include <set>

#include "catch.h"
#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

using namespace ipvlanx;

namespace {

int open_something() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("a descriptor is closed by its last owner, and by nobody else") {
  const int first = open_something();
  const int second = open_something();
  {
    UniqueFd a{first};
    UniqueFd b{second};
    UniqueFd c{std::move(a)};
    CHECK_FALSE(a);
    CHECK(c.get() == first);
    c = std::move(b);
    CHECK_FALSE(is_open(first));
    CHECK(c.get() == second);
    UniqueFd& self = c;
    c = std::move(self);
    CHECK(c.get() == second);
    CHECK(is_open(second));
  }
  CHECK_FALSE(is_open(second));

  UniqueFd kept{open_something()};
  const int fd = kept.release();
  CHECK_FALSE(kept);
  CHECK(is_open(fd));
  UniqueFd{fd};
  CHECK_FALSE(is_open(fd));
}

TEST_CASE("an error is a sentence that grows by its context") {
  const Error error =
      kernel_error("ipvx_addrs: update", ENOSPC).error().at("address").within("add slave 'web0'");
  CHECK(error.code == Errc::kernel_refused);
  CHECK(error.message == "add slave 'web0': ipvx_addrs: update: No space left on device");
  CHECK(error.field == "address");
}

TEST_CASE("every code has a word of its own") {
  std::set<std::string_view> words;
  for (int code = 0; code <= static_cast<int>(Errc::no_daemon); ++code) {
    words.insert(name(static_cast<Errc>(code)));
  }
  CHECK(words.size() == static_cast<std::size_t>(Errc::no_daemon) + 1);
}

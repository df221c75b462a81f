# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# How do scripts become root, and how do they build? Sourced by tools/test and
# tools/demo; expects `set -euo pipefail`.

# become_root "$@": goes on as root, asking sudo where needed.
become_root() {
  ((EUID != 0)) || return 0
  command -v sudo >/dev/null || {
    echo "${0##*/}: needs root (packages, namespaces, BPF), and there is no sudo here" >&2
    exit 1
  }
  exec sudo --preserve-env=CMAKE_BUILD_PARALLEL_LEVEL "$0" "$@"
}

# configure BUILD_DIR CMAKE_ARGUMENT...: prints only what goes wrong.
configure() {
  local build=$1 log
  shift
  mkdir -p "$build"
  log=$build/configure.log
  cmake -S "$ipvlanx_repo" -B "$build" -G Ninja "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    return 1
  }
}

# configure_release BUILD_DIR CMAKE_ARGUMENT...: by g++ 12.
configure_release() {
  if [[ $(g++ -dumpversion) == 12* ]]; then
    configure "$@"
  else
    configure "$@" -DCMAKE_CXX_COMPILER=g++-12
  fi
}

# configure_sanitized BUILD_DIR: by clang 19, with ASan and UBSan.
configure_sanitized() {
  configure "$1" -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 -DIPVLANX_SANITIZE=ON
}

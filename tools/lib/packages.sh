# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What has to be installed on a fresh Debian 12, and how do scripts install it?
# Sourced by tools/test, tools/demo, tools/bench and tests/vm/kernels.

# To build the programs.
ipvlanx_build_packages=(
  build-essential g++ clang-19 bpftool cmake file ninja-build pkg-config
  libbpf-dev libxdp-dev libelf-dev zlib1g-dev libcap-ng-dev libmnl-dev libsystemd-dev
  nlohmann-json3-dev libboost-dev libfmt-dev libcli11-dev
)
# To run tools/demo.
ipvlanx_demo_packages=(
  bpftool iproute2 iputils-ping iperf3 jq mount tcpdump util-linux
)
# To run tools/bench.
ipvlanx_dpdk_packages=(
  dpdk-dev librte-mempool-ring23 librte-net-af-xdp23
)
ipvlanx_bench_packages=(
  bpftool ethtool git iproute2 mount python3 util-linux
)
# To run all tests.
ipvlanx_test_packages=(
  "${ipvlanx_demo_packages[@]}"
  catch2 clang-format-19 clang-tidy-19 git libclang-rt-19-dev
  python3 python3-jsonschema python3-prometheus-client python3-pytest python3-scapy python3-yaml
  avahi-daemon avahi-utils dbus-daemon dnsmasq-base ethtool iputils-arping isc-dhcp-client keepalived
  ndisc6 procps radvd udhcpc
  mandoc
  conntrack iptables nftables python3-pyftpdlib strace traceroute
  systemd systemd-container udev
  curl dpkg-dev init-system-helpers lintian
  "${ipvlanx_dpdk_packages[@]}"
  busybox-static docker.io
)

# To run tests under another kernel, by tests/vm/run.
ipvlanx_vm_packages=(
  apt busybox-static debian-archive-keyring kmod qemu-system-x86 util-linux xz-utils zstd
)

# install_packages PACKAGE...: those that are missing, with one `apt-get update`. One
# line of progress per package; all that apt says is shown when it fails.
install_packages() {
  local missing=() package log
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == "install ok installed" ]] ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "-- installing ${missing[*]}"
  log=$(mktemp)
  if ! {
    apt_get update &&
      apt_get install --download-only "${missing[@]}" &&
      # Interrupted while it unpacks, dpkg would leave the machine's packages broken.
      (trap '' INT TERM HUP && apt_get install "${missing[@]}")
  } 2>&1 | tee "$log" | sed -un -e 's/^Setting up \([^ ]*\).*/   \1/p'; then
    cat "$log" >&2
    rm -f "$log"
    echo "could not install: ${missing[*]}" >&2
    return 1
  fi
  rm -f "$log"
}

# Never asks; waits while another apt holds the lock.
apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 \
    -o APT::Install-Recommends=false "$@" </dev/null
}

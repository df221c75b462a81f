# SPDX-License-Identifier: Apache-2.0
"""Do the packages come, stay and go as Debian's users expect it, and packages on the wire likewise?

The drawing is tests/systemd/service.py's; the packages are what tests/deb/build has made.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from ipvlanx import IPVLANXD
from programs import Program
from service import API, UNITS, ServiceTopology, sh
from space import eventually, ping_ok
from stream import Stream
from test_purge import settled, what_is_there

PACKAGES = Path(os.environ["IPVLANX_BUILD"], "packages")
SETTINGS = Path("/etc/ipvlanx/ipvlanx.conf")
APP = "10.0.0.30"  # an application's
POLICY = Path("/usr/sbin/policy-rc.d")  # in containers: no service may be started


def package(name: str, version: str = "now") -> str:
    (file,) = PACKAGES.glob(f"{version}/{name}_*.deb")
    return str(file)


def dpkg(words: str, status: int = 0) -> str:
    done = subprocess.run(["dpkg", *words.split()], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, f"dpkg {words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Packaged(ServiceTopology):
    def install(self) -> None:
        POLICY.unlink(missing_ok=True)
        dpkg(f"--install {package('ipvlanx')}")

    def uninstall(self) -> None:
        dpkg("--purge ipvlanx")


@pytest.fixture
def packaged() -> Iterator[Packaged]:
    topology = Packaged()
    try:
        yield topology
    finally:
        topology.close()


def test_installed_it_answers(packaged: Packaged) -> None:
    assert sh(f"systemctl is-enabled {' '.join(UNITS)}").split() == ["enabled", "enabled"]
    assert sh("systemctl is-active ipvlanxd.socket").strip() == "active"
    assert not packaged.daemon.running
    assert dpkg("--verify ipvlanx") == ""
    assert "AF_XDP slaves" in sh("ipvlanx-xsk --help")
    group = int(sh("getent group ipvlanx").split(":")[2])
    assert os.stat(API).st_gid == group
    assert sh(f"curl --silent --unix-socket {API} http://x/v1/slaves").strip() == "[]"
    assert packaged.daemon.running
    assert sh(f"readlink /proc/{packaged.daemon.pid}/exe").strip() == "/usr/sbin/ipvlanxd"
    dpkg(f"--install {package('ipvlanx')}")  # once more is no harm
    assert packaged.daemon.get("/v1/slaves") == []
    # Where Docker's engine looks.
    assert Path("/usr/lib/docker/plugins/ipvlanx.spec").read_text() == f"unix://{API}\n"
    # The unit's sandbox lets it load what a trace needs, later than at its start.
    packaged.daemon.cli("port set m0 mode l2")
    assert packaged.daemon.cli("trace m0 rx dst 10.0.0.99").startswith("host: the host gets it\n")


def test_programs_are_hardened(packaged: Packaged) -> None:
    files = dpkg("--listfiles ipvlanx").split()
    programs = [file for file in files if "bin/" in file and open(file, "rb").read(4) == b"\x7fELF"]
    assert len(programs) >= 2
    for program in programs:
        shown = sh(f"readelf --wide --file-header --program-headers --dynamic --dyn-syms {program}")
        for sign in ("Position-Independent Executable", "GNU_RELRO", "BIND_NOW", "__stack_chk_fail"):
            assert sign in shown, f"{program}: no {sign}"
        assert re.search(r"\b__\w+_chk@", shown), f"{program}: nothing is fortified"


def test_an_upgrade_keeps_slaves_settings_and_packets(packaged: Packaged) -> None:
    daemon = packaged.daemon
    a, b = packaged.add_slave(), packaged.add_slave()
    daemon.cli(f"link add link m0 name app0 mode l2 via afxdp netns {a.netns.name} addr {APP}/24")
    door = f"/run/ipvlanx/slaves/{packaged.id_of('app0')}/afxdp.sock"
    ping_ok(packaged.external, a.addresses[4])
    ping_ok(a.netns, b.addresses[4])
    slaves, first = daemon.get("/v1/slaves"), daemon.pid
    edited = "[defaults]\nmax-addresses = 7\n"
    SETTINGS.write_text(edited)
    with (
        Program(a.netns, "/usr/bin/ipvlanx-xsk", "echo", "app0", "--socket", door, "--json") as application,
        Stream(packaged.external, a.netns, a.addresses[4]) as outside,
    ):
        eventually("the application is ready", lambda: "ready:" in application.said)
        ping_ok(packaged.external, APP)
        with (
            Stream(a.netns, b.netns, b.addresses[4]) as inside,
            Program(packaged.external, "ping", "-n", "-q", "-i", "0.02", APP) as pings,
        ):
            dpkg(f"--install {package('ipvlanx', 'next')}")
            second = daemon.another(first)
            assert daemon.get("/v1/slaves") == slaves
            # An older one is an upgrade, too, for who has to go back.
            dpkg(f"--install --force-downgrade {package('ipvlanx')}")
            daemon.another(second)
            assert daemon.get("/v1/slaves") == slaves
            pings.signal(signal.SIGINT)
            eventually("it says how many", lambda: " 0% packet loss" in pings.said)
        application.stop()
        final = json.loads(application.said.splitlines()[-1])
    assert f"{final['heard']['ping'] - 3} packets transmitted" in pings.said, "by the application, all"
    assert outside.sent and not outside.lost()
    assert inside.sent and not inside.lost()
    assert SETTINGS.read_text() == edited
    daemon.cli("link add link m0 name ipvl2 mode l2")
    assert daemon.get("/v1/slaves?name=ipvl2")[0]["max_addresses"] == 7


def test_who_has_stopped_it_finds_it_stopped_after_an_upgrade(packaged: Packaged) -> None:
    sh(f"systemctl disable --now {' '.join(UNITS)}")
    dpkg(f"--install {package('ipvlanx', 'next')}")
    assert not packaged.daemon.running
    states = subprocess.run(["systemctl", "is-enabled", *UNITS], capture_output=True, text=True)
    assert states.stdout.split() == ["disabled", "disabled"]


@pytest.mark.parametrize("mode", ["l2", "l3s"])
def test_removed_it_leaves_nothing_behind(packaged: Packaged, mode: str) -> None:
    host, daemon = packaged.host, packaged.daemon
    before = settled(packaged)
    space = packaged.netns("ns0")
    daemon.cli(f"link add link m0 name ipvl0 mode {mode} netns ns0 addr 10.0.0.10/24")
    SETTINGS.write_text("[defaults]\nmax-addresses = 7\n")

    dpkg("--remove ipvlanx")
    assert what_is_there(host) == before
    assert not space.ip_json("link show type veth")
    for gone in ("/sys/fs/bpf/ipvlanx", API, "/var/lib/ipvlanx/state.json", "/usr/sbin/ipvlanxd"):
        assert not os.path.exists(gone), gone
    assert SETTINGS.read_text() == "[defaults]\nmax-addresses = 7\n"

    dpkg(f"--install {package('ipvlanx')}")
    assert daemon.get("/v1/slaves") == []
    dpkg("--purge ipvlanx")
    for gone in ("/etc/ipvlanx", "/var/lib/ipvlanx", "/run/ipvlanx"):
        assert not os.path.exists(gone), gone
    assert sh("getent group ipvlanx"), "a number that files may still bear"
    left = sh("find /etc/systemd /var/lib/systemd /etc/iproute2 -name *ipvlanx*")
    assert left == ""


def test_removed_it_leaves_nothing_where_its_settings_had_it(packaged: Packaged) -> None:
    before = settled(packaged)
    SETTINGS.write_text("[daemon]\npin-root = /sys/fs/bpf/elsewhere\n")
    packaged.daemon.cli("link add link m0 name ipvl0 mode l2")
    assert os.path.exists("/sys/fs/bpf/elsewhere/maps")
    dpkg("--remove ipvlanx")
    assert not os.path.exists("/sys/fs/bpf/elsewhere")
    assert what_is_there(packaged.host) == before


def test_while_somebody_elses_daemon_runs_it_stays(packaged: Packaged) -> None:
    sh(f"systemctl stop {' '.join(UNITS)}")
    own = subprocess.Popen([IPVLANXD], stdout=subprocess.PIPE, text=True)
    try:
        assert own.stdout and own.stdout.readline().startswith("ready ")
        assert "another ipvlanxd uses it" in dpkg("--remove ipvlanx", status=1)
        assert os.path.exists("/usr/sbin/ipvlanxd")
        assert own.poll() is None
    finally:
        own.terminate()
        own.wait()
    eventually("the socket is there again", lambda: os.path.exists(API))
    assert packaged.daemon.get("/v1/slaves") == []


PROGRAM = """
#include <ipvlanx/client.h>
#include <cstdio>
int main(int, char** argv) {
  auto client = ipvlanx::Client::connect(argv[1]);
  if (!client) return 1;
  const auto slaves = client->slaves({.master = "m0"});
  if (!slaves) return 2;
  for (const auto& slave : *slaves) std::printf("%s\\n", slave.name.c_str());
}
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(example CXX)
set(CMAKE_CXX_EXTENSIONS OFF)
find_package(ipvlanx REQUIRED)
add_executable(example example.cpp)
target_link_libraries(example ipvlanx::ipvlanx)
"""


@pytest.mark.parametrize("way", ["pkg-config", "cmake"])
def test_a_program_of_somebody_elses(packaged: Packaged, tmp_path: Path, way: str) -> None:
    dpkg(f"--install {package('libipvlanx-dev')}")
    architecture = sh("gcc -print-multiarch").strip()
    assert f"/usr/lib/{architecture}/pkgconfig/ipvlanx.pc" in dpkg("--listfiles libipvlanx-dev")
    source, program = tmp_path / "example.cpp", tmp_path / "build" / "example"
    source.write_text(PROGRAM)
    if way == "cmake":
        (tmp_path / "CMakeLists.txt").write_text(PROJECT)
        sh(f"cmake -S {tmp_path} -B {program.parent}")
        sh(f"cmake --build {program.parent}")
    else:
        program.parent.mkdir()
        flags = sh("pkg-config --cflags --libs ipvlanx")
        sh(f"c++ -std=c++23 -o {program} {source} {flags}")
    packaged.daemon.cli("link add link m0 name web0 mode l2")
    assert sh(f"{program} {API}") == "web0\n"
    dpkg("--remove libipvlanx-dev")
    assert not os.path.exists("/usr/include/ipvlanx")

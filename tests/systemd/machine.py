# SPDX-License-Identifier: Apache-2.0
"""Boots systemd in a container and runs a program there: the inner half of `run`.

Process 1 of a process namespace, as it is, takes everything down with it when it ends. Only
empty control groups may stay behind; the next run removes them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

NAME = f"ipvlanx-{secrets.token_hex(4)}"
REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = os.environ["IPVLANX_BUILD"]
# Coldplugging would be of this machine's disks; nothing is to be fetched or cleaned up there.
MASKED = ("systemd-udev-trigger.service", "timers.target")
PATIENCE = 60 * float(os.environ.get("IPVLANX_SLOW", "1"))


def make_root() -> Path:
    """This machine's files, of which changes are kept in memory."""
    folder = Path("/run", NAME)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", NAME, folder], check=True)
    upper, work, root = folder / "upper", folder / "work", folder / "root"
    for path in (upper, work, root):
        path.mkdir()
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, NAME, root], check=True)
    (root / "etc/machine-id").unlink(missing_ok=True)
    (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
    for unit in MASKED:
        mask = root / "etc/systemd/system" / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")
    return root


def own_control_groups() -> list[Path]:
    """Of the hierarchies that systemd keeps its services in."""
    paths = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths[controllers] = path.lstrip("/")
    mounts = [("name=systemd", "systemd"), ("", "unified"), ("", "")]
    folders = [Path("/sys/fs/cgroup", mount, paths.get(key, "")) for key, mount in mounts]
    return [folder for folder in folders if (folder / "cgroup.procs").exists()]


def remove_control_groups(top: Path) -> None:
    """As far as nobody is in them."""
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            pass


def enter_control_group(parent: Path) -> None:
    """One of its own, so that machines which run at the same time do not share their services'."""
    handle = os.open(parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    for stale in parent.glob("ipvlanx-*"):
        remove_control_groups(stale)
    (parent / NAME).mkdir()
    (parent / NAME / "cgroup.procs").write_text(f"{os.getpid()}\n")
    os.close(handle)


class Machine:
    def __init__(self, root: Path) -> None:
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind(f"/run/{NAME}/notices")
        notices.settimeout(PATIENCE)
        self._log = Path("/run", NAME, "log")
        options = [
            *("--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--notify-ready=yes"),
            *("--console=read-only", f"--machine={NAME}", f"--directory={root}"),
            *("--private-network", "--capability=all", "--bind=/sys/fs/bpf"),
            *("--system-call-filter=bpf", "--system-call-filter=perf_event_open"),
            *(f"--bind-ro={REPOSITORY}", f"--bind-ro={BUILD}"),
        ]
        with self._log.open("w") as log:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", *options, "--boot", "systemd.unit=basic.target", "fstab=no"],
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": f"/run/{NAME}/notices",
                    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes",
                },
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        said: dict[str, str] = {}
        try:
            while said.get("READY") != "1":
                lines = notices.recv(4096).decode().splitlines()
                said.update(line.split("=", 1) for line in lines)
        except TimeoutError:
            raise SystemExit(f"systemd did not come up: {said}\n{self._log.read_text()}") from None
        self._leader = said["X_NSPAWN_LEADER_PID"]

    def run(self, argv: list[str]) -> int:
        enter = ["nsenter", f"--target={self._leader}", "--all", f"--wdns={os.getcwd()}"]
        environment = os.environ | {"IPVLANX_MACHINE": NAME}
        return subprocess.run([*enter, "--", *argv], env=environment).returncode

    def close(self) -> None:
        os.kill(int(self._leader), signal.SIGKILL)
        self._nspawn.wait()


def main() -> int:
    parents = own_control_groups()
    for parent in parents:
        enter_control_group(parent)
    try:
        machine = Machine(make_root())
        try:
            return machine.run(sys.argv[1:])
        finally:
            machine.close()
    finally:
        for parent in parents:
            (parent / "cgroup.procs").write_text(f"{os.getpid()}\n")
            remove_control_groups(parent / NAME)


sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""How does a test act as root of a tenant's?

Container: root as Docker's default makes it, with NET_ADMIN and NET_RAW; a mount namespace of its
own, without bpffs, and in /run nothing but its slave's own folder. Root there is root here.
UserNamespace: root of a user namespace that user 64000 made, with all capabilities in it; it sees
the host's files, bpffs among them, as user 64000.

Both know `name`, `spawn` and `run`, as a Netns does: so Program and Client run there.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from programs import Program
from space import Netns, eventually

# Docker's default, CAP_NET_RAW among them, and CAP_NET_ADMIN.
CAPABILITIES = (
    "audit_write chown dac_override fowner fsetid kill mknod net_bind_service setfcap setgid setpcap"
    " setuid sys_chroot net_raw net_admin"
).split()
DOOR = "/mnt/own/afxdp.sock"  # of its slave, in a Container
# The daemon's folder is in /run, of which the tests' programs need nothing.
HIDE = """
set -e
mount -t tmpfs none /mnt
mkdir /mnt/own
[ -z "$1" ] || mount --bind "$1" /mnt/own
umount -l /sys/fs/bpf
mount -t tmpfs -o mode=755 none /run
shift
exec "$@"
"""


class Tenant:
    name: str

    def argv(self, *words: str) -> list[str]:
        raise NotImplementedError

    def spawn(self, *words: str, **options: Any) -> subprocess.Popen:
        return subprocess.Popen(self.argv(*words), **options)

    def run(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess:
        done = subprocess.run(
            self.argv(*words), capture_output=True, text=True, timeout=30, **options
        )
        assert not check or done.returncode == 0, (self.name, words, done)
        return done


class Container(Tenant):
    def __init__(self, space: Netns, folder: Path | None = None) -> None:
        """In this namespace; `folder`: the one with its slave's socket."""
        self.name = f"container in {space.name}"
        self._space, self._folder = space, str(folder or "")

    def argv(self, *words: str) -> list[str]:
        sets = "-all," + ",".join(f"+{name}" for name in CAPABILITIES)
        hide = ("unshare", "--mount", "--propagation", "private", "bash", "-c", HIDE, "hide")
        less = ("setpriv", f"--inh-caps={sets}", f"--bounding-set={sets}", "--")
        return self._space.argv(*hide, self._folder, *less, *words)


class UserNamespace(Tenant):
    """While the `with` block runs; its network namespace is that of process `pid`."""

    def __init__(self, outside: Netns) -> None:
        self.name = "user namespace"
        words = "setpriv --reuid=64000 --regid=64000 --clear-groups unshare --user --map-root-user --net --mount"
        self._sleeper = Program(outside, *words.split(), "sleep", "1000")
        comm = Path(f"/proc/{self.pid}/comm")
        eventually("it has gone there", lambda: comm.read_text() == "sleep\n")

    @property
    def pid(self) -> int:
        return self._sleeper.pid

    def argv(self, *words: str) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--user", "--net", "--mount", "--", *words]

    def __enter__(self) -> UserNamespace:
        return self

    def __exit__(self, *_: object) -> None:
        self._sleeper.kill()


def fds_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))

# SPDX-License-Identifier: Apache-2.0
"""Docker's own engine, beside ipvlanxd in the network namespace `host`.

All it keeps is in a folder of the run's own; its images are of busybox alone. It finds the driver
as an installation has it, by a line in /etc/docker/plugins: in the run's own mounts.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ipvlanx import Topology
from space import eventually

DOCKERD, DOCKER, BUSYBOX = "/usr/sbin/dockerd", "/usr/bin/docker", "/bin/busybox"
SPEC = Path(__file__).parents[2] / "deploy" / "docker" / "ipvlanx.spec"
IMAGE = "ipvlanx/busybox"


def remove_control_groups() -> None:
    """Those without a process: of a run that was killed with -9, too."""
    for group in glob.glob("/sys/fs/cgroup/*/ipvlanx-docker-*"):
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):  # another run's
                os.rmdir(folder)


class Engine:
    def __init__(self, net: Topology) -> None:
        self.net = net
        # In the run's own tmpfs: what is mounted there ends with the run, too.
        self.folder = Path(tempfile.mkdtemp(prefix="ipvlanx-docker-", dir="/run"))
        self.log = self.folder / "log"
        self._process: subprocess.Popen | None = None
        # A mount is gone with the run, a file would not be.
        subprocess.run(["mount", "-t", "tmpfs", "plugins", "/etc/docker"], check=True)
        plugins = Path("/etc/docker/plugins")
        plugins.mkdir()
        spec = SPEC.read_text().replace("/run/ipvlanx/api.sock", net.daemon.socket)
        (plugins / "ipvlanx.spec").write_text(spec)
        self._settings = {
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            "data-root": str(self.folder / "data"),
            "exec-root": str(self.folder / "exec"),
            "pidfile": str(self.folder / "pid"),
            "hosts": [f"unix://{self.folder}/sock"],
            "cgroup-parent": f"/{self.folder.name}",
            "live-restore": True,
            "storage-driver": "overlay2",
            "log-level": "warn",
        }

    def set(self, key: str, value: Any) -> None:
        """From the next start on."""
        self._settings[key] = value

    def start(self) -> None:
        (self.folder / "pid").unlink(missing_ok=True)  # of one that was killed
        settings = self.folder / "daemon.json"
        settings.write_text(json.dumps(self._settings))
        with self.log.open("a") as log:
            words = (DOCKERD, "--config-file", str(settings))
            self._process = self.net.host.spawn(*words, stdout=log, stderr=log)
        eventually("the engine serves", lambda: self.try_docker("version").returncode == 0, 30)

    def kill(self) -> None:
        assert self._process
        containerd = int((self.folder / "exec/containerd/containerd.pid").read_text())
        self._process.kill()
        self._process.wait(30)
        self._process = None
        # It dies with the engine, and its parent is then this process, the run's first one.
        os.waitpid(containerd, 0)

    def load_image(self) -> None:
        """Of one file, and links to it."""
        root = self.folder / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy(BUSYBOX, root / "bin" / "busybox")
        for name in ("sh", "ip", "ping", "ping6", "sleep", "cat", "true", "nc"):
            os.link(root / "bin" / "busybox", root / "bin" / name)
        for name in ("etc", "proc", "sys", "dev", "tmp"):
            (root / name).mkdir()
        tar = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True).stdout
        done = subprocess.run([*self.argv(), "import", "-", IMAGE], input=tar, capture_output=True)
        assert done.returncode == 0, done.stderr

    def argv(self) -> list[str]:
        return [DOCKER, "-H", f"unix://{self.folder}/sock"]

    def try_docker(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([*self.argv(), *words], capture_output=True, text=True, timeout=60)

    def docker(self, words: str) -> str:
        """`docker` as a person types it."""
        done = self.try_docker(*words.split())
        assert done.returncode == 0, f"docker {words}: exit {done.returncode}\n{done.stderr}"
        return done.stdout.strip()

    def inspect(self, thing: str) -> dict[str, Any]:
        return json.loads(self.docker(f"inspect {thing}"))[0]

    def close(self) -> None:
        try:
            if self._process:
                self.try_docker("rm", "-f", *self.docker("ps -aq").split())
                self.kill()
        finally:
            print(f"--- dockerd's log\n{self.log.read_text() if self.log.exists() else ''}")
            subprocess.run(["umount", "/etc/docker"], check=False)
            remove_control_groups()

# SPDX-License-Identifier: Apache-2.0
"""ipvlanxd as systemd runs it: by the units of deploy/, at their places.

    external              host                     ns0, ns1, ...
    x0  ---- veth ----  m0 ==== slaves ==========  ipvl0, ipvl1, ...

`host` is process 1's network namespace, as in drawing.py.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from drawing import MachineTopology
from ipvlanx import Daemon
from maps import Maps
from space import Netns, eventually

API = "/run/ipvlanx/api.sock"
UNITS = ("ipvlanxd.socket", "ipvlanxd.service")
DROP_IN = Path("/run/systemd/system/ipvlanxd.service.d/test.conf")


def sh(words: str, check: bool = True) -> str:
    done = subprocess.run(words.split(), capture_output=True, text=True, timeout=60)
    said = f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert not check or done.returncode == 0, said
    return done.stdout


def install(prefix: str = "/usr") -> None:
    """As `cmake --install build` does, but for its list of files, which it keeps in the build."""
    for part in ("deploy", "daemon", "tools", "lib"):
        script = Path(os.environ["IPVLANX_BUILD"], part, "cmake_install.cmake")
        sh(f"cmake -DCMAKE_INSTALL_PREFIX={prefix} -P {script}")
    sh(f"systemd-sysusers {prefix}/lib/sysusers.d/ipvlanx.conf")
    sh("systemctl daemon-reload")


def configure(*lines: str) -> None:
    """What an operator's drop-in says of the service."""
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text("\n".join(["[Service]", *lines, ""]))
    sh("systemctl daemon-reload")


class ServiceDaemon(Daemon):
    """What start(), stop() and kill() mean for a service."""

    def __init__(self, host: Netns) -> None:
        super().__init__(host)
        self.socket, self.pin_root = API, "/sys/fs/bpf/ipvlanx"
        self.maps = Maps(self.pin_root)
        self._cursor = sh("journalctl --lines=0 --show-cursor").split("cursor: ")[1].strip()

    def journal(self) -> str:
        """What the service and systemd said of it since the test began."""
        since = f"--after-cursor={self._cursor}"
        return sh(f"journalctl --no-pager -o short-monotonic -u ipvlanxd.service {since}")

    @staticmethod
    def show(key: str) -> str:
        return sh(f"systemctl show --value -p {key} ipvlanxd.service").strip()

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    @property
    def running(self) -> bool:
        return self.show("ActiveState") == "active"

    def start(self, *_: object) -> None:
        sh("systemctl start ipvlanxd.service")

    def stop(self) -> None:
        """With its socket, or the next request starts it again."""
        sh(f"systemctl stop {' '.join(UNITS)}")
        assert self.show("Result") == "success"

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def another(self, pid: int) -> int:
        """Another process than this one serves; its number."""

        def serves() -> int:
            now = self.pid if self.running else 0
            return now if now != pid else 0

        return eventually("the service is there again", serves, 20)

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(self.socket)
        return connection

    def close(self) -> None:
        print(self.journal())
        sh(f"systemctl stop {' '.join(UNITS)}", check=False)  # or it was uninstalled


class ServiceTopology(MachineTopology):
    def __init__(self) -> None:
        self.install()
        super().__init__()
        self.daemon = ServiceDaemon(self.host)
        self.maps = self.daemon.maps

    def install(self) -> None:
        install()
        sh("systemctl start ipvlanxd.socket")

    def uninstall(self) -> None:
        sh("/usr/bin/ipvlanx purge")

    def close(self) -> None:
        try:
            self.daemon.close()
            self.uninstall()
        finally:
            DROP_IN.unlink(missing_ok=True)
            sh("systemctl daemon-reload")
            for space in self.spaces:
                space.delete()

"""One tor process: its folder, its control socket, its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from mars.adapters.system import SystemClock
from mars.errors import StateError
from testbed.tornet.control import Control

POLL = 0.05
"""Seconds between two looks at something that takes a moment."""
STOP_PATIENCE = 3.0
"""Seconds from SIGTERM to SIGKILL."""


def find(program: str, path: str | None = None) -> str:
    """Where ``tor`` or ``tor-gencert`` is. Raises ``StateError`` (``tor-missing``).

    ``path`` is searched, else ``PATH`` and the folders of system programs, which the PATH of a
    plain user lacks on Debian.
    """
    usual = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    found = shutil.which(program, path=usual if path is None else path)
    if found is None:
        raise StateError(
            "tor-missing",
            f"{program} is not installed; on Debian and Ubuntu: apt install tor",
        )
    return found


def environment(folder: Path) -> dict[str, str]:
    """For tor: nothing of the user's, so that no torrc, locale or home of theirs plays a part."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LC_ALL": "C"}


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Polls ``done``. Raises ``StateError`` (``tor-start``) after ``seconds``."""
    clock, pause = SystemClock(), threading.Event()
    limit = clock.monotonic() + seconds
    while not done():
        if clock.monotonic() > limit:
            raise StateError("tor-start", f"The private Tor network did not get ready: {what}.")
        pause.wait(POLL)


class TorProcess:
    """A running tor. ``folder`` is its data directory (0700), ``pid`` its process id."""

    def __init__(self, name: str, folder: Path, torrc: Sequence[str]) -> None:
        self.name = name
        self.folder = folder
        self.control_socket = folder / "control"
        self.cookie = folder / "cookie"
        self.socks_port = 0
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "torrc").write_text("\n".join(torrc) + "\n", "ascii")
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", "ascii")

    def start(self) -> None:
        """Starts tor (again). A session of its own: a Ctrl-C in the terminal is ours to handle."""
        self.cookie.unlink(missing_ok=True)
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [find("tor"), "--defaults-torrc", "/dev/null", "-f", str(self.folder / "torrc")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(self.folder),
                cwd=self.folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_for_control(self, seconds: float = 20.0) -> None:
        """Returns when the control socket answers. Raises ``StateError`` with tor's last words."""

        def ready() -> bool:
            if not self.alive:
                raise StateError("tor-start", f"tor ({self.name}) ended: {self.last_words()}")
            return self.cookie.exists() and self.control_socket.exists()

        wait_until(ready, seconds, f"{self.name} opened no control socket")

    def control(self) -> Control:
        """A fresh control connection; the caller closes it."""
        return Control(self.control_socket, self.cookie)

    def info(self, key: str) -> str:
        """``GETINFO key`` over a connection of its own."""
        with self.control() as control:
            return control.info(key)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this tor by its process id; nothing happens when it has ended."""
        if self.alive and self._process is not None:
            self._process.send_signal(number)

    def last_words(self) -> str:
        """The last line of tor's log or output, for an error message."""
        for name in ("notice.log", "output.log"):
            path = self.folder / name
            lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
            if lines:
                return lines[-1]
        return "it said nothing"

    def kill(self) -> None:
        """SIGKILL, as a crash would look to others."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        self.signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after ``STOP_PATIENCE``. Safe to call twice."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

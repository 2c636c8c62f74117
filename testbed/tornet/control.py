"""The few words of Tor's control protocol (control-spec.txt) that the test network needs.

Not stem: what is under test should not bring up what it is tested on, and a test wants no
threads that outlive it.
"""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from mars.errors import MarsError

REPLY_TIMEOUT = 30.0
"""Seconds to wait for one line of a reply."""


class ControlError(MarsError):
    """tor refused a command, or its control socket is gone."""


class Control:
    """One authenticated connection to a control socket. Use it as a context manager."""

    def __init__(self, path: Path, cookie: Path) -> None:
        """Raises ``OSError`` when tor is not listening, ``ControlError`` when it refuses us."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(REPLY_TIMEOUT)
            self._socket.connect(str(path))
            self._lines = self._socket.makefile("rb")
            self.ask(f"AUTHENTICATE {cookie.read_bytes().hex()}")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str) -> list[str]:
        """Sends one command and returns the reply's lines without their codes.

        The lines of a data reply (``250+key=``) follow their head as separate entries.
        Asynchronous events (650) that arrive in between are dropped. Raises ``ControlError``.
        """
        self._socket.sendall(command.encode("ascii") + b"\r\n")
        word = command.split(maxsplit=1)[0]
        result: list[str] = []
        while True:
            code, mark, text = self._line(word)
            if code == "650":
                continue
            if not code.startswith("2"):
                raise ControlError("tor-control", f"tor refused {word}: {code} {text}")
            result.append(text)
            if mark == "+":
                result += self._data(word)
            elif mark == " ":
                return result

    def event(self) -> str:
        """The next asynchronous event (after ``SETEVENTS``), without its code.

        Raises ``TimeoutError`` after ``REPLY_TIMEOUT``.
        """
        code, _, text = self._line("for events")
        return text if code == "650" else ""

    def info(self, key: str) -> str:
        """``GETINFO key``: the value, lines joined by LF."""
        lines = self.ask(f"GETINFO {key}")[:-1]
        return "\n".join([lines[0].partition("=")[2], *lines[1:]]).strip("\n")

    def _line(self, word: str) -> tuple[str, str, str]:
        raw = self._lines.readline()
        if not raw.endswith(b"\n"):
            raise ControlError("tor-control", f"tor ended while it was asked {word}")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        return line[:3], line[3:4], line[4:]

    def _data(self, word: str) -> list[str]:
        lines: list[str] = []
        while (raw := self._lines.readline()) != b".\r\n":
            if not raw.endswith(b"\n"):
                raise ControlError("tor-control", f"tor ended while it was asked {word}")
            lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
        return lines

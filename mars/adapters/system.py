"""The one home of clock and chance, and what this machine says of itself."""

from __future__ import annotations

import os
import random  # noqa: TID251 - this adapter owns chance; only SystemRandom is used
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from mars.adapters.files import policy_path, read_small
from mars.ports import Platform

T = TypeVar("T")


class SystemClock:
    """``mars.ports.Clock`` on the operating system's clocks."""

    def now(self) -> int:
        return int(time.time())  # noqa: TID251 - this adapter owns the clock

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - this adapter owns the clock


class SystemChance:
    """``mars.ports.Chance`` on the operating system's random numbers.

    As the module ``secrets`` does it, but without loading OpenSSL, which an application that only
    waits should not pay for.
    """

    def __init__(self) -> None:
        self._source = random.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        return self._source.uniform(low, high)

    def choice(self, items: Sequence[T]) -> T:
        return self._source.choice(items)

    def token(self, size: int) -> bytes:
        return os.urandom(size)


_SYSTEMS = {"win32": "windows", "cygwin": "windows", "darwin": "macos"}
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""In the order in which POSIX asks them."""


def this_host() -> Platform:
    """The machine we run on."""
    system = _SYSTEMS.get(sys.platform, sys.platform)
    path = Path(policy_path(system, os.environ))

    def policy() -> bytes | None:
        try:
            return read_small(path)
        except FileNotFoundError:
            return None

    return Platform(
        system=system,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        environ=os.environ,
        locale=next((os.environ[name] for name in _LOCALE_VARIABLES if os.environ.get(name)), ""),
        policy=policy,
    )

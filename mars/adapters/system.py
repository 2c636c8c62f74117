"""The one home of clock and chance, and what this machine says of itself."""

from __future__ import annotations

import os
import random  # noqa: TID251 - this adapter owns chance; only SystemRandom is used
import sys
import time
from pathlib import Path

from mars.adapters.files import policy_path, read_small
from mars.ports import Platform


class SystemClock:
    """``mars.ports.Clock`` on the operating system's clocks."""

    def now(self) -> int:
        return int(time.time())  # noqa: TID251 - this adapter owns the clock

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - this adapter owns the clock


class SystemChance(random.SystemRandom):
    """``mars.ports.Chance`` on the operating system's random numbers.

    As the module ``secrets`` does it, but without loading OpenSSL, which an application that only
    waits should not pay for.
    """

    token = random.SystemRandom.randbytes


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

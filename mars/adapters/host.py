"""What this machine says of itself: system, Python, environment, and the administrator's file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mars.adapters.files import policy_path
from mars.ports import Platform

_SYSTEMS = {"win32": "windows", "cygwin": "windows", "darwin": "macos"}
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""In the order in which POSIX asks them."""


def this_host() -> Platform:
    """The machine we run on."""
    system = _SYSTEMS.get(sys.platform, sys.platform)
    path = Path(policy_path(system, os.environ))

    def policy() -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    return Platform(
        system=system,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        environ=os.environ,
        locale=next((os.environ[name] for name in _LOCALE_VARIABLES if os.environ.get(name)), ""),
        policy=policy,
    )

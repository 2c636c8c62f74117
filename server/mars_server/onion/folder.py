"""The folder of the onion service: its name and its key."""

from __future__ import annotations

from pathlib import Path

from mars.wire.onion import is_onion_host


def hostname(folder: str) -> str | None:
    """The service's ``<56 base32>.onion``, or None while tor has not made it or it is unreadable.

    A file that holds anything else counts as none.
    """
    try:
        name = Path(folder, "hostname").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if is_onion_host(name) else None

"""The configuration file of the tor that we start ourselves. Source: tor(1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mars.errors import ConfigError

_LINE = re.compile(r"[\x20-\x7e]{1,2000}", re.ASCII)
"""Printable ASCII on one line, so that a pasted bridge line cannot smuggle in another option."""


OWN_TORRC = "SocksPort auto ExtendedErrors\n"
"""How what we write begins. ExtendedErrors tells an unknown onion from one that is offline
(proposal 304)."""


def own_torrc(
    folder: str,
    owner: int,
    bridges: Sequence[str] = (),
    transports: Sequence[str] = (),
    extra: Sequence[str] = (),
) -> str:
    """A client that listens on loopback ports of its own choice and ends with process ``owner``.

    ``extra`` lines are copied as they are. Raises ``ConfigError`` (``bridge-invalid``).
    """
    lines = [
        "ControlPort auto",
        f"ControlPortWriteToFile {quote(folder + '/control-port')}",
        "CookieAuthentication 1",
        f"CookieAuthFile {quote(folder + '/cookie')}",
        f"DataDirectory {quote(folder + '/data')}",
        # To the file that its output goes to: a quoted name is not understood here.
        "Log notice stdout",
        "ClientOnly 1",
        "AvoidDiskWrites 1",
        "ShutdownWaitLength 0",
        # Leading zeros keep stem from taking ownership: it does so where it sees its own pid
        # here, and then closing one status connection would end this tor.
        f"__OwningControllerProcess 000{owner}",
        *_bridge_lines(bridges, transports),
        *extra,
    ]
    return OWN_TORRC + "\n".join(lines) + "\n"


def _bridge_lines(bridges: Sequence[str], transports: Sequence[str]) -> list[str]:
    lines = [
        f"ClientTransportPlugin {_checked(item, 'ClientTransportPlugin')}" for item in transports
    ]
    if bridges:
        lines += ["UseBridges 1", *(f"Bridge {_checked(item, 'Bridge')}" for item in bridges)]
    return lines


def _checked(line: str, keyword: str) -> str:
    text = line.strip().removeprefix(f"{keyword} ").strip()
    if _LINE.fullmatch(text) is None or "#" in text:
        raise ConfigError(
            "bridge-invalid",
            f"A {keyword} line must be one line of plain text; copy it again from its source.",
        )
    return text


def quote(text: str) -> str:
    """A value with spaces or non-ASCII letters as tor reads it: a C string of UTF-8 bytes."""
    if any(ord(letter) < 0x20 for letter in text):
        raise ConfigError(
            "tor-folder", "The folder for Tor has a control character in its name; name another."
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

"""Whose program is at the other end of a connection within this machine, where the system tells.

While no Tor runs, any user of the machine can listen where one is looked for, and would read what
is asked of it. Linux tells the owners of TCP sockets in /proc/net/tcp and tcp6 (proc(5)), and
those of unix sockets by SO_PEERCRED (unix(7)); elsewhere nobody is told.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from mars.errors import TransportError

TOR_USERS = frozenset({"debian-tor", "tor", "_tor", "toranon"})
"""Whom distributions run Tor as."""
SYSTEM_IDS = 1000
"""User ids below are no person's (login.defs, SYS_UID_MAX): Tor is also a given name."""
_NOT_TOLD = (FileNotFoundError, NotADirectoryError, PermissionError)
"""Of a table that this system, or the sandbox that we run in, does not have for us at all."""
_LISTENING = "0A"
_ALL_IDS = ["0", "0", "4294967295"]
"""/proc/self/uid_map of who lives in no user namespace."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
End = tuple[Address, int]


def require_trusted(sock: socket.socket, place: str) -> None:
    """Raises ``TransportError`` (``tor-foreign``) where another user's program is at the other end:
    neither root's, nor Tor's own user's, nor ours; ``tor-silent`` where that could be told and
    could not be read."""
    try:
        foreign = any(_is_stranger(user) for user in owners(sock))
    except OSError as error:
        raise TransportError(
            "tor-silent",
            f"Who listens at {place} could not be found out ({error.strerror or error}), so nothing"
            " was asked there; close programs or files, then try again.",
        ) from None
    if foreign:
        raise TransportError(
            "tor-foreign",
            f"Another user's program listens at {place}, so nothing was asked of it; end it, or "
            "give the address yourself if it is a Tor that you trust.",
        )


def owners(sock: socket.socket) -> set[int]:
    """User ids of who listens there and of who took this connection; empty where not told.

    Raises ``OSError`` where it would be told and cannot be read at this moment.
    """
    if sys.platform != "linux":
        return set()
    if sock.family == socket.AF_UNIX:
        told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return {struct.unpack("3i", told)[1]}
    here, there = (_end(*name[:2]) for name in (sock.getsockname(), sock.getpeername()))
    return {
        user
        for local, remote, state, user in _rows()
        if (local, remote) == (there, here)
        # Before somebody has accepted it, a connection is root's: then the listener tells.
        or (state == _LISTENING and (local == there or _is_any(local, there[1])))
    }


def _is_any(listening: End, port: int) -> bool:
    return listening[0].is_unspecified and listening[1] == port


def _end(host: str | bytes, port: int) -> End:
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address, port


def _rows() -> Iterator[tuple[End, End, str, int]]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(*_NOT_TOLD):
            for line in Path("/proc/net", table).read_text("ascii").splitlines()[1:]:
                words = line.split()
                yield _read(words[1]), _read(words[2]), words[3], int(words[7])


def _read(text: str) -> End:
    """``0100007F:235A``: words of 32 bits as this machine holds them, and the port."""
    host, _, port = text.partition(":")
    words = (int(host[at : at + 8], 16) for at in range(0, len(host), 8))
    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return _end(raw, int(port, 16))


def _is_stranger(user: int) -> bool:
    if user in (0, os.getuid(), os.geteuid()) or user == _outside():
        return False
    import pwd  # not on Windows

    try:
        return user >= SYSTEM_IDS or pwd.getpwuid(user).pw_name not in TOR_USERS
    except KeyError:
        return True


def _outside() -> int | None:
    """In a user namespace, as Flatpak's, all who live outside bear this id, which tells nothing."""
    try:
        if Path("/proc/self/uid_map").read_text("ascii").split() == _ALL_IDS:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))
    except (OSError, ValueError):
        return None

"""Reads members of a parsed JSON object with the type that they must have."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mars.errors import WireError
from mars.wire import times
from mars.wire.url import is_onion_server

MAX_SERVERS = 8
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)


def bad(what: str) -> WireError:
    """The error for a payload that is JSON but not the document it should be."""
    return WireError("bad-payload", f"The document is not of the agreed form: {what}.")


def table(value: object, name: str) -> dict[str, Any]:
    """``value`` as an object."""
    if not isinstance(value, dict):
        raise bad(f"{name} is not an object")
    return value


def only(members: Mapping[str, Any], known: Collection[str], name: str) -> None:
    """Raises ``WireError`` (``extra-member``) where ``members`` has others than those ``known``."""
    if members.keys() - set(known):
        raise WireError("extra-member", f"{name} says {', '.join(known)} and nothing else.")


def text(members: Mapping[str, Any], name: str, limit: int, default: str | None = None) -> str:
    """A text of at most ``limit`` characters; required where there is no ``default``."""
    value = members.get(name, default)
    if not isinstance(value, str) or len(value) > limit:
        raise bad(f"{name} must be a text of at most {limit} characters")
    return value


def octets(members: Mapping[str, Any], name: str, size: int) -> bytes:
    """A text of lower-case hex digits, as ``size`` bytes."""
    value = text(members, name, 2 * size)
    if len(value) != 2 * size or not _HEX.fullmatch(value):
        raise bad(f"{name} must be {2 * size} hex digits")
    return bytes.fromhex(value)


def whole(members: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number (the parser has checked its range); ``true`` is none."""
    value = members.get(name, default)
    if type(value) is not int:
        raise bad(f"{name} must be a whole number")
    return value


def choice(members: Mapping[str, Any], name: str, among: tuple[str, ...], default: str) -> str:
    """One of the texts ``among``."""
    value = members.get(name, default)
    if value not in among:
        raise bad(f"{name} must be one of {', '.join(among)}")
    return str(value)


def time(members: Mapping[str, Any], name: str) -> int:
    """A required time of the form ``2026-11-21T00:00:00Z``, as Unix seconds."""
    value = members.get(name)
    if not isinstance(value, str):
        raise bad(f"{name} must be a time")
    try:
        return times.parse_time(value)
    except WireError:
        raise bad(f"{name} must be a time like 2026-11-21T00:00:00Z") from None


def optional_time(members: Mapping[str, Any], name: str) -> int | None:
    """The same, or None where the member is absent."""
    return time(members, name) if name in members else None


def texts(members: Mapping[str, Any], name: str, most: int, limit: int) -> tuple[str, ...] | None:
    """A list of at most ``most`` texts, or None where the member is absent."""
    if name not in members:
        return None
    value = members[name]
    if not isinstance(value, list) or len(value) > most:
        raise bad(f"{name} must be a list of at most {most} texts")
    if not all(isinstance(item, str) and len(item) <= limit for item in value):
        raise bad(f"{name} must hold texts of at most {limit} characters")
    return tuple(value)


def servers(members: Mapping[str, Any]) -> tuple[str, ...]:
    """The member ``servers``: bare onion addresses."""
    found = texts(members, "servers", MAX_SERVERS, 80) or ()
    if not all(is_onion_server(server) for server in found):
        raise bad("servers must be bare onion addresses, http://<56 base32>.onion")
    return found

"""The steering document: all that changes what a client sends, when and where. Root signs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.links import is_prefix
from mars.wire.motd import FORMAT_VERSION, dated
from mars.wire.times import format_time, is_week

MAX_STEERING = 16 * 1024
"""Bytes of the payload."""
MAX_WEEKS = 64
"""Intake keys, one a week."""
MAX_LINKS = 16

_HASH = re.compile(r"(?:[0-9a-f]{64})?", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Steering:
    """The payload, its members in the order in which they are signed. Times are Unix seconds."""

    product: str
    channel: str
    epoch: int
    serial: int
    issued: int
    servers: tuple[str, ...] = ()
    """Bare onion addresses; the first is asked."""
    reportback_next: int = 0
    """Seconds as signed; clients clamp it (``mars.core.schedule``)."""
    registry: str = ""
    """SHA-256 of the registry document, hex; empty where there is none."""
    intake: Mapping[str, str] = field(default_factory=dict)
    """ISO week (``2026-W48``) to the X25519 key that what is sent in it is sealed to, hex."""
    links: tuple[str, ...] = ()
    """How the links of messages may begin."""

    @classmethod
    def decode(cls, payload: bytes) -> Steering:
        """Raises ``WireError`` as ``motd.decode``."""
        members = m.table(strictjson.parse(payload, MAX_STEERING), "the payload")
        return cls(
            *dated(members, "steering"),
            servers=m.servers(members),
            reportback_next=m.whole(members, "reportback_next", 0),
            registry=_registry(members),
            intake=_intake(members),
            links=_links(members),
        )

    def encode(self) -> bytes:
        """The payload as we sign it."""
        said = {**vars(self), "issued": format_time(self.issued)}
        said |= {"servers": list(self.servers), "links": list(self.links)}
        return strictjson.write({"type": "steering", "version": FORMAT_VERSION, **said})

    def same_as(self, other: Steering) -> bool:
        """Whether both say the same to clients, whenever they were made."""
        return replace(self, serial=0, issued=0) == replace(other, serial=0, issued=0)


def _registry(members: Mapping[str, Any]) -> str:
    value = m.text(members, "registry", 64, "")
    if _HASH.fullmatch(value) is None:
        raise m.bad("registry must be a SHA-256 of 64 hex digits, or empty")
    return value


def _intake(members: Mapping[str, Any]) -> dict[str, str]:
    value = m.table(members.get("intake", {}), "intake")
    if len(value) > MAX_WEEKS:
        raise m.bad(f"intake has more than {MAX_WEEKS} weeks")
    for week in value:
        if not is_week(week) or _KEY.fullmatch(m.text(value, week, 64)) is None:
            raise m.bad("intake must map weeks like 2026-W48 to keys of 64 hex digits")
    return value


def _links(members: Mapping[str, Any]) -> tuple[str, ...]:
    links = m.texts(members, "links", MAX_LINKS, 200) or ()
    if not all(is_prefix(link) for link in links):
        raise m.bad("links must be beginnings of URLs such as https://example.org/")
    return links

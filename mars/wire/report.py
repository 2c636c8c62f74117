"""What one report of a statistic or of an error event says, and nothing else: the text that is
sealed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mars.errors import WireError
from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.registry import PURPOSES, STATISTICS
from mars.wire.sealed import SMALL, room

_MEMBERS = ("type", "product", "channel", "project", "key", "release", "value")
_LONGEST = {"key": 81}
"""Characters, of ``name.dimension`` of an error event; 64 of any other member."""


@dataclass(frozen=True)
class Report:
    """One value of one installation, without a name, a time or a number of its own."""

    product: str
    channel: str
    project: str
    key: str
    release: str
    """One that the registry lists, else ``other``."""
    value: str
    purpose: str = STATISTICS
    """Of the entry; ``type`` on the wire."""

    @property
    def name(self) -> str:
        """Of the entry: ``project/key``."""
        return f"{self.project}/{self.key}"

    def encode(self) -> bytes:
        """Strict JSON, members in this one order."""
        said = {name: getattr(self, name) for name in _MEMBERS[1:]}
        return strictjson.write({"type": self.purpose, **said})


@lru_cache(maxsize=4096)
def decode(text: bytes) -> Report:
    """The report in a sealed text; remembered, since thousands say the same.

    Raises ``WireError`` as ``strictjson.parse``, ``other-type`` for what is no report of one
    of these, ``extra-member`` for one that says more, ``bad-payload`` for one that says less or no
    texts; whether it is declared is the registry's to say.
    """
    members = m.table(strictjson.parse(text, room(SMALL)), "the report")
    purpose = members.get("type")
    if purpose not in PURPOSES:
        raise WireError("other-type", f"The type of a report is one of {', '.join(PURPOSES)}.")
    if members.keys() - set(_MEMBERS):
        said = ", ".join(_MEMBERS)
        raise WireError("extra-member", f"A report says {said} and nothing else.")
    told = {name: m.text(members, name, _LONGEST.get(name, 64)) for name in _MEMBERS[1:]}
    return Report(**told, purpose=purpose)

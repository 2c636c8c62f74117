"""What one report of a statistic says, and nothing else: the text that is sealed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mars.errors import WireError
from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.sealed import SMALL, room

TYPE = "statistics"
_MEMBERS = ("type", "product", "channel", "project", "key", "release", "value")
_LONGEST = 64


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

    @property
    def name(self) -> str:
        """Of the entry: ``project/key``."""
        return f"{self.project}/{self.key}"

    def encode(self) -> bytes:
        """Strict JSON, members in this one order."""
        return strictjson.write({"type": TYPE, **vars(self)})


@lru_cache(maxsize=4096)
def decode(text: bytes) -> Report:
    """The report in a sealed text; remembered, since thousands say the same.

    Raises ``WireError`` as ``strictjson.parse``, ``other-type`` for what is no report of a
    statistic, ``extra-member`` for one that says more, ``bad-payload`` for one that says less or no
    texts; whether it is declared is the registry's to say.
    """
    members = m.table(strictjson.parse(text, room(SMALL)), "the report")
    if members.get("type") != TYPE:
        raise WireError("other-type", f"This is no report of a statistic; its type is {TYPE}.")
    if members.keys() - set(_MEMBERS):
        said = ", ".join(_MEMBERS)
        raise WireError("extra-member", f"A report says {said} and nothing else.")
    return Report(*(m.text(members, name, _LONGEST) for name in _MEMBERS[1:]))

"""Opens the lines of a spool that are error reports. Pure.

The size of a body says whose it is: the smaller ones are counted (``mars_server.counting``), the
larger ones are looked at here and nowhere else. Nothing of a line that is not kept stays but the
reason.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

from mars.errors import WireError
from mars.wire.reports.crowd import Share
from mars.wire.reports.direct import Deletion, Direct
from mars.wire.reports.outer import Outer
from mars.wire.reports.recipient import Recipient
from mars.wire.sealed import LARGE, key_id, key_of, opened
from mars_server.common.calendar import is_stale, week_of
from mars_server.counting.intake_keys import Keys
from mars_server.counting.opening import BAD_JSON, body_of, mark_of
from mars_server.counting.reports import DIGEST_BYTES, WeekKey

_OPENS, _STALE = b"mars-fault", b"mars-fault-stale"
"""A copy that comes too late must not stand for the one that came in time."""
_is_stale = lru_cache(maxsize=256)(is_stale)
REASONS = frozenset(
    "other-type extra-member bad-payload other-product unknown-release not-opened other-kind "
    "other-server bad-signature bad-share".split()
)
"""Of ``Recipient.read``; any other is of the form of a text."""


class Read(NamedTuple):
    """What a report says, and of which release."""

    release: str
    what: Direct | Deletion | Share


class Line(NamedTuple):
    """A line to be opened, or the reason why it is not."""

    week: str
    """ISO week of its key, or of the spool."""
    digest: bytes
    """Equal for equal bodies; nobody without the intake's secret can make it."""
    body: bytes
    reason: str = ""


class Opened(NamedTuple):
    """What became of a line: a ``Read``, or the reason why it was dropped."""

    week: str
    digest: bytes
    said: Read | str


@dataclass(frozen=True)
class Opening:
    """What reports are opened with; never shown."""

    keys: Keys = field(repr=False)
    recipient: Recipient = field(repr=False)
    listed: Collection[str]
    """Releases that take reports: one of these without a key waits, any other is dropped."""

    @property
    def ids(self) -> frozenset[str]:
        """Of all keys, hex."""
        releases = (key_id(pair.public) for pair in self.keys.releases.values())
        return frozenset(each.hex() for each in (*self.keys.intake, *releases))

    @cached_property
    def _marks(self) -> dict[bytes, bytes]:
        return {name: mark_of(key) for name, key in self.keys.intake.items()}

    def line(self, line: bytes, day: date) -> Line | None:
        """What a spool of ``day`` has in ``line``; None of what is none of ours. A line without a
        ``digest`` waits for its key."""
        body = body_of(line)
        if len(body) != LARGE:
            return None
        name = key_of(body)
        if name is None:
            week = week_of(day)
            return Line(week, _digest(body, b"", _OPENS), b"", "bad-body")
        key = self.keys.intake.get(name)
        if key is None:
            return Line("", b"", b"")
        if _is_stale(day, key.week):
            return Line(key.week, _digest(body, self._marks[name], _STALE), b"", "stale")
        return Line(key.week, _digest(body, self._marks[name], _OPENS), body)

    def open(self, line: Line) -> Opened | None:
        """None of one whose release's key was not given, so that it waits."""
        if line.reason:
            return Opened(line.week, line.digest, line.reason)
        text = opened(line.body, self._key(line.body).pair)
        said = "unopenable" if text is None else self._said(text)
        return None if said is None else Opened(line.week, line.digest, said)

    def _key(self, body: bytes) -> WeekKey:
        return self.keys.intake[key_of(body) or b""]

    def _said(self, text: bytes) -> Read | str | None:
        try:
            return Read(*self.recipient.read(text))
        except WireError as error:
            if error.reason == "unknown-release" and self._release(text) in self.listed:
                return None
            return error.reason if error.reason in REASONS else BAD_JSON

    def _release(self, text: bytes) -> str:
        return Outer.decode(text, self.recipient.unpack).release


def _digest(body: bytes, mark: bytes, person: bytes) -> bytes:
    """Of SHA-256, which processors know, so that it costs half of a BLAKE2b."""
    made = sha256(person.ljust(DIGEST_BYTES) + mark)
    made.update(body)
    return made.digest()[:DIGEST_BYTES]

"""Opens the lines of a spool and says what each of them adds to. Pure.

A line is one sealed body in base64. Those of the larger size are error reports and pass by: triage
opens them (``mars_server.triage``). What stands in any other is judged by the registry alone, and
nothing of it is kept but the cell of the sums that it adds to: a text that is not declared becomes
the reason why it was dropped, and nobody sees it.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections import defaultdict
from datetime import date
from hashlib import blake2b

from mars.errors import WireError
from mars.wire.catalogue import OTHER_RELEASE, Catalogue
from mars.wire.report import Report, decode
from mars.wire.sealed import LARGE, key_of, opened
from mars_server.common.calendar import is_stale, week_of
from mars_server.common.jsontext import from_base64
from mars_server.counting.blocks import Lines
from mars_server.counting.reports import (
    DIGEST_BYTES,
    REJUDGED,
    Dropped,
    Opened,
    Opening,
    Rejudged,
    Statistic,
    WeekKey,
)
from mars_server.counting.tally import Tally

_TEXTS_BOUND = 4096
"""Distinct texts that are remembered with what they add to; nearly all reports say the same few."""
BAD_JSON = "bad-json"
"""The reason of a text that is no strict JSON."""
_TEXT_REASONS = ("other-type", "extra-member", "bad-payload")

_COUNTS, _STALE, _MARKS = b"mars-report", b"mars-stale", b"mars-openings"
"""A copy that comes too late must not stand for the one that came in time, whichever is read
first."""
_PERSONS = {reason: f"mars-{reason}"[:16].encode() for reason in REJUDGED}
"""Nor one that the registry refuses, on its day or as it is now, for one that it lets count."""


class SpoolCounting:
    """A running tally over the pieces of a spool, as ``mars_server.counting.tally.Counting``."""

    def __init__(self, opening: Opening, day: date) -> None:
        """``day``: on which the spool was written."""
        self._opening = opening
        self._day = day
        self._lines = Lines(lambda _: b"")
        self._digests: defaultdict[Opened, bytearray] = defaultdict(bytearray)
        self._known: dict[tuple[str, bytes], Opened] = {}
        self._tally = Tally()
        self._bad = Dropped(week_of(day), "bad-body")
        self._marks = {name: mark_of(key) for name, key in opening.keys.items()}
        stale = (key.week for key in opening.keys.values() if is_stale(day, key.week))
        self._stale = frozenset(stale)

    @property
    def unfinished(self) -> bool:
        return self._lines.unfinished

    def feed(self, chunk: bytes) -> None:
        """Opens the lines that ``chunk`` completes."""
        lines = self._lines.feed(chunk).split(b"\n")[1:-1]
        self._tally.lines += len(lines)
        for line in lines:
            if not line.startswith(b"#"):
                self._take(line.rstrip(b"\r"))

    def take(self) -> Tally:
        """What was opened since the last ``take``; starts anew."""
        taken, self._tally = self._tally, Tally()
        taken.opened = {each: bytes(digests) for each, digests in self._digests.items()}
        self._digests.clear()
        return taken

    def _take(self, line: bytes) -> None:
        body = body_of(line)
        name = key_of(body)
        if len(body) == LARGE:
            self._tally.passed += 1
        elif name is None:
            self._put(self._bad, line)
        elif (key := self._opening.keys.get(name)) is not None:
            if key.week in self._stale:
                self._put(Dropped(key.week, "stale"), body, self._marks[name], _STALE)
            else:
                self._judge(self._opened(key, body), body, self._marks[name])
        elif name.hex() not in self._opening.done:
            self._tally.waiting += 1

    def _judge(self, what: Opened, body: bytes, mark: bytes) -> None:
        reason = what.reason if isinstance(what, Dropped) else ""
        if self._opening.anew:
            for other in set(REJUDGED) - {reason}:
                self._put(Rejudged(what.week, other), body, mark, _PERSONS[other])
        self._put(what, body, mark, _PERSONS.get(reason, _COUNTS))

    def _put(self, what: Opened, data: bytes, mark: bytes = b"", person: bytes = _COUNTS) -> None:
        made = blake2b(data, digest_size=DIGEST_BYTES, key=mark, person=person)
        self._digests[what] += made.digest()

    def _opened(self, key: WeekKey, body: bytes) -> Opened:
        text = opened(body, key.pair)
        if text is None:
            return Dropped(key.week, "unopenable")
        found = self._known.get((key.week, text))
        if found is None:
            if len(self._known) >= _TEXTS_BOUND:
                self._known.clear()
            found = judged(self._opening.catalogue, key.week, self._day, text)
            self._known[key.week, text] = found
        return found


def mark_of(key: WeekKey) -> bytes:
    """Under which bodies are hashed. It follows from the secret, so that who has the database and a
    body, as from the network, cannot tell whether that body counted, or where."""
    return blake2b(key.pair.secret, person=_MARKS).digest()


def body_of(line: bytes) -> bytes:
    """Empty for what is no base64."""
    try:
        return from_base64(line.decode("ascii"))
    except ValueError:
        pass  # another way to write a body makes no other hash
    try:
        return a2b_base64(line)
    except ValueError:
        return b""


def judged(catalogue: Catalogue, week: str, day: date, text: bytes) -> Opened:
    """What ``text`` adds to, sealed to the key of ``week`` and received on ``day``."""
    try:
        report = decode(text)
    except WireError as error:
        return Dropped(week, error.reason if error.reason in _TEXT_REASONS else BAD_JSON)
    if reason := _refusal(catalogue, report, day):
        return Dropped(week, reason)
    return Statistic(week, report.name, report.release, report.value)


def _refusal(catalogue: Catalogue, report: Report, day: date) -> str | None:
    """Why the registry does not let it count on ``day``."""
    if (report.product, report.channel) != (catalogue.product, catalogue.channel):
        return "other-product"
    metric = catalogue.metric(report.name)
    if metric is None:
        return "undeclared"
    if report.purpose != metric.purpose:
        return "other-type"
    if metric.withdrawn is not None and day >= metric.withdrawn:
        return "withdrawn"
    if not metric.is_live(day):
        return "expired"
    if report.release not in (*catalogue.releases, OTHER_RELEASE):
        return "unknown-release"
    return None if metric.fits(report.value) else "bad-value"

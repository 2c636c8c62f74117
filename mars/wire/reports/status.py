"""The status document, ``/motd/status.json``: what became of error reports, the same bytes for all.

Nobody asks for a report: whoever sent one finds it here by the first 8 bytes of its GUID. Beside
the answers stand the faults that are known, each with a rule by which a client finds its own. The
role ``status`` signs it. Pure.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice, pairwise
from typing import Any

from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.motd import FORMAT_VERSION, dated
from mars.wire.product import is_release
from mars.wire.reports.direct import PREFIX_BYTES, prefix_of
from mars.wire.reports.fault import Fault
from mars.wire.reports.rules import MAX_RULE, Rule
from mars.wire.targeting import version_matches
from mars.wire.times import format_time

OPEN, RESOLVED, KNOWN, DELETED = STATES = ("open", "resolved", "known", "deleted")
MAX_DOCUMENT = 250_000
"""Bytes of the envelope, ..."""
MAX_STATUS = 180_000
"""... and of the payload in it."""
MAX_PREFIXES = 10_000
MAX_ANSWERS = 1_000
MAX_FAULTS = 500
MAX_SUMMARY, MAX_TEXT = 200, 2_000
"""Characters."""
PAD = 10
"""The number of prefixes is a multiple of this."""
_INDEX_BYTES = 2
_RECORD = PREFIX_BYTES + _INDEX_BYTES


@dataclass(frozen=True)
class Answer:
    """What a user is told. Texts are plain; clean them before display."""

    state: str
    """One of ``STATES``."""
    rule: int = 0
    """The number of the rule or note that says so, from 1 on; 0 for none."""
    summary: str = ""
    how: str = ""
    """How it happens."""
    fix: str = ""
    """What to do."""
    release: str = ""
    """That it is fixed in."""


@dataclass(frozen=True)
class Known:
    """A fault with help, for whoever meets it."""

    match: Rule
    answer: int
    """Its place in ``Status.answers``."""
    releases: str = ""
    """PEP 440 specifier of the versions that have it, such as ``<0.5.3``; empty for all."""


@dataclass(frozen=True)
class Status:
    """The payload, its members in the order in which they are signed. Times are Unix seconds."""

    product: str
    channel: str
    epoch: int
    serial: int
    issued: int
    expires: int
    answers: tuple[Answer, ...] = ()
    prefixes: Mapping[bytes, int] = field(default_factory=dict)
    """First 8 bytes of a GUID to the place of its answer."""
    faults: tuple[Known, ...] = ()
    """The first that fits holds."""

    @classmethod
    def decode(cls, payload: bytes) -> Status:
        """Raises ``WireError`` as ``motd.decode``, ``rule-invalid``."""
        members = m.table(strictjson.parse(payload, MAX_STATUS), "the payload")
        head = dated(members, "status")
        answers = tuple(map(_answer, _tables(members, "answers", MAX_ANSWERS)))
        faults = _tables(members, "faults", MAX_FAULTS)
        return cls(
            *head,
            expires=m.time(members, "expires"),
            answers=answers,
            prefixes=_prefixes(members, len(answers)),
            faults=tuple(_known(each, len(answers)) for each in faults),
        )

    def encode(self) -> bytes:
        """The payload as we sign it. Raises ``WireError`` as ``decode`` where no client would read
        it."""
        payload = self.written
        self.decode(payload)
        return payload

    @property
    def written(self) -> bytes:
        """The payload, whether or not a client would read it."""
        times = {name: format_time(getattr(self, name)) for name in ("issued", "expires")}
        said = {"type": "status", "version": FORMAT_VERSION, **vars(self), **times}
        said["answers"] = [_said(each) for each in self.answers]
        said["prefixes"] = _packed(self.prefixes)
        said["faults"] = [{**_said(each), "match": each.match.text} for each in self.faults]
        return strictjson.write(said)

    def answer(self, guid: str) -> Answer | None:
        """What became of a report; None where nothing is said of it, or ``guid`` is none."""
        at = self.prefixes.get(prefix_of(guid) or b"")
        return None if at is None else self.answers[at]

    def known(self, fault: Fault, version: str) -> Answer | None:
        """The help for a fault that an application of ``version`` met."""
        words = fault.words
        for each in self.faults:
            if each.match.claims(words) and _is_among(version, each.releases):
                return self.answers[each.answer]
        return None


def padded(prefixes: Mapping[bytes, int], secret: bytes) -> dict[bytes, int]:
    """With as many more that no report has as make their number a multiple of ten.

    ``secret`` (32 bytes) stays the same, and with it those that are added, else two documents
    beside each other would tell them apart. Each has the answer of one that is real.
    """
    answers = sorted(prefixes.values())
    missing = -len(prefixes) % PAD
    drawn = (_drawn(number, secret) for number in range(PAD + missing))
    others = ((prefix, pick) for prefix, pick in drawn if prefix not in prefixes)
    return {
        **prefixes,
        **{prefix: answers[pick % len(answers)] for prefix, pick in islice(others, missing)},
    }


def _drawn(number: int, secret: bytes) -> tuple[bytes, int]:
    found = blake2b(number.to_bytes(1, "big"), key=secret, digest_size=2 * PREFIX_BYTES).digest()
    return found[:PREFIX_BYTES], int.from_bytes(found[PREFIX_BYTES:], "big")


def _packed(prefixes: Mapping[bytes, int]) -> str:
    records = (prefix + at.to_bytes(_INDEX_BYTES, "big") for prefix, at in prefixes.items())
    return base64.b64encode(b"".join(sorted(records))).decode("ascii")


def _prefixes(members: Mapping[str, Any], answers: int) -> dict[bytes, int]:
    text = m.text(members, "prefixes", MAX_STATUS, "")
    try:
        packed = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise m.bad("prefixes must be base64") from None
    if len(packed) % _RECORD or len(packed) > MAX_PREFIXES * _RECORD:
        raise m.bad(f"prefixes must be at most {MAX_PREFIXES} records of {_RECORD} bytes")
    records = [packed[at : at + _RECORD] for at in range(0, len(packed), _RECORD)]
    found = {each[:PREFIX_BYTES]: int.from_bytes(each[PREFIX_BYTES:], "big") for each in records}
    if any(first >= second for first, second in pairwise(found)) or len(found) != len(records):
        raise m.bad("prefixes must ascend")
    if any(at >= answers for at in found.values()):
        raise m.bad("a prefix has an answer that is not there")
    return found


def _tables(members: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    value = members.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise m.bad(f"{name} must be a list of at most {most}")
    return [m.table(each, f"one of {name}") for each in value]


def _answer(members: dict[str, Any]) -> Answer:
    return Answer(
        m.choice(members, "state", STATES, ""),
        m.whole(members, "rule", 0),
        m.text(members, "summary", MAX_SUMMARY, ""),
        m.text(members, "how", MAX_TEXT, ""),
        m.text(members, "fix", MAX_TEXT, ""),
        _release(members),
    )


def _release(members: dict[str, Any]) -> str:
    release = m.text(members, "release", 20, "")
    if release and not is_release(release):
        raise m.bad("release must be like 0.5.2")
    return release


def _known(members: dict[str, Any], answers: int) -> Known:
    at = m.whole(members, "answer")
    if at >= answers:
        raise m.bad("a fault has an answer that is not there")
    match = Rule.parse(m.text(members, "match", MAX_RULE))
    return Known(match, at, m.text(members, "releases", MAX_SUMMARY, ""))


def _said(entry: Answer | Known) -> dict[str, Any]:
    """What is not said is left out; the place of an answer always is."""
    return {
        name: value
        for name, value in vars(entry).items()
        if value not in ("", 0) or name == "answer"
    }


def _is_among(version: str, releases: str) -> bool:
    return not releases or version_matches(releases, version)

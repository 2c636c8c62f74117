"""The answers to error reports, cut into parts that are light enough for a slow line.

A status document may hold 10,000 reports and 180,000 bytes of texts; a page that held them all
would have a megabyte. So what helps stands first, then the reports in their order, and a new part
begins when one is full, whatever is in it: who sends reports can choose how their codes begin, and
pages by first letters could be made as large as he likes.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from mars.wire.reports.status import DELETED, KNOWN, OPEN, RESOLVED, Answer, Known, Status
from mars.wire.targeting import clean
from mars_server.site.language import N_, Language

FULL: Final = 90_000
"""Bytes of texts and rows after which a new part begins. The largest text has some 40,000 more, and
all else on a page less than 20,000: together less than 150,000."""
SHOWN: Final = 12
"""Characters of a code: what the first 8 bytes of a GUID give in full (60 of 64 bits)."""
_FRAME: Final = 700
"""Bytes around a text, ..."""
_ROW: Final = 170
"""... in a row, ..."""
_LINE: Final = 8
"""... and around each line of a text."""
_BRIEF: Final = 60
"""Characters of a summary in a row."""
_MOST_RULES: Final = 5
_LONGEST_RULE: Final = 300
"""Rules that are named beside a text, and characters of one; the file has all."""
STATES: Final = {
    OPEN: N_("open"),
    KNOWN: N_("known"),
    RESOLVED: N_("resolved"),
    DELETED: N_("deleted"),
}


@dataclass(frozen=True)
class Help:
    """One answer that says something. Texts are clean; a template escapes them."""

    number: int
    """Its place in the document, from 1 on."""
    state: str
    release: str
    summary: str
    how: Sequence[str]
    """Lines."""
    fix: Sequence[str]
    faults: Sequence[Known] = ()
    """That it helps against."""

    @classmethod
    def of(cls, number: int, answer: Answer, faults: Sequence[Known]) -> Help:
        texts = (lines(answer.how), lines(answer.fix))
        return cls(number, answer.state, answer.release, clean(answer.summary), *texts, faults)

    @property
    def rules(self) -> list[str]:
        """By which it is known, but for those that are a hash of one fault."""
        found = (clean(each.match.text) for each in self.faults)
        told = (rule for rule in found if rule[:1] != "#" and len(rule) <= _LONGEST_RULE)
        return list(dict.fromkeys(told))[:_MOST_RULES]

    @property
    def releases(self) -> str:
        """That have the fault, where all that it helps against agree."""
        found = {each.releases for each in self.faults}
        return clean(found.pop()) if len(found) == 1 else ""

    @property
    def size(self) -> int:
        parts = [self.summary, *self.how, *self.fix, *self.rules, self.releases]
        return _FRAME + sum(_LINE + _bytes(each) for each in parts)


@dataclass(frozen=True)
class Row:
    """One report, or an entry that is nobody's."""

    code: str
    """What its GUID begins with."""
    answer: Answer
    number: int
    """Of the answer, from 1 on; 0 where it says nothing but a state."""
    part: int
    """In which that stands."""

    @property
    def brief(self) -> str:
        text = clean(self.answer.summary)
        return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 1]}…"

    @property
    def size(self) -> int:
        return _ROW + _bytes(self.brief)


@dataclass
class Part:
    """What stands on one page."""

    helps: list[Help] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    size: int = 0

    @property
    def known(self) -> list[Help]:
        """Against faults that a program can know by itself, ..."""
        return [each for each in self.helps if each.faults]

    @property
    def other(self) -> list[Help]:
        """... and what was said to those who sent a report."""
        return [each for each in self.helps if not each.faults]


def parts(status: Status) -> list[Part]:
    """At least one."""
    found = [Part()]
    places: dict[int, int] = {}
    for one in _helps(status):
        _room(found, one.size).helps.append(one)
        places[one.number] = len(found)
    for prefix, at in sorted(status.prefixes.items(), key=lambda each: _code(each[0])):
        number = at + 1 if at + 1 in places else 0
        row = Row(_code(prefix), status.answers[at], number, places.get(number, 0))
        _room(found, row.size).rows.append(row)
    return found


def _helps(status: Status) -> Iterator[Help]:
    """Those against known faults first, in the order in which they hold."""
    faults: dict[int, list[Known]] = defaultdict(list)
    for each in status.faults:
        faults[each.answer].append(each)
    others = dict.fromkeys(range(len(status.answers)))
    for at in [*faults, *(at for at in others if at not in faults)]:
        answer = status.answers[at]
        if answer.summary or answer.how or answer.fix or at in faults:
            yield Help.of(at + 1, answer, faults.get(at, ()))


def _room(found: list[Part], size: int) -> Part:
    if found[-1].size and found[-1].size + size > FULL:
        found.append(Part())
    found[-1].size += size
    return found[-1]


def lines(text: str) -> list[str]:
    """Those of a clean text that hold something."""
    return [line for line in clean(text, newlines=True).split("\n") if line.strip()]


def state(answer: Answer | Help, say: Language) -> str:
    """``resolved, fixed in 0.5.3``."""
    told = say.gettext(STATES[answer.state])
    if answer.release:
        told += ", " + say.gettext("fixed in %(release)s") % {"release": answer.release}
    return told


def _code(prefix: bytes) -> str:
    return base64.b32encode(prefix).decode("ascii").lower()[:SHOWN]


def _bytes(text: str) -> int:
    """As it stands on a page."""
    return len(escape(text).encode())

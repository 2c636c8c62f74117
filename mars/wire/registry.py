"""The registry: what a product declares that may be sent beside the query, typed.

The variables of the query are the program's own (``mars.wire.variables``); statistics
(``metrics.toml``) and error events (``errors.toml``, ``mars.wire.events``) are declared by each
product. An entry says who owns it, where it was reviewed, how sensitive it is and when it ends;
without these nothing may be collected. Values are booleans, enumerations, bucketed whole numbers or
versions to ``X.Y``, so that no free text can be expressed.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, TypeVar

from mars.errors import WireError

STATISTICS, EVENTS = PURPOSES = ("statistics", "events")
"""Why an entry is reported: for its own sake, or as one of a domain of error events."""
SENSITIVITIES = ("technical", "interaction")
BOOL, ENUM, BUCKET, VERSION = TYPES = ("bool", "enum", "bucket", "version")
MAX_VALUES = 32
MAX_BOUND = 2**53 - 1
RATE = 0.25
"""Reports a week that an installation sends on average, where an entry does not say."""
MAX_EPSILON = 10.0
MAX_LABEL = 80
MAX_LINE = 500
"""Characters of an owner or a review."""
MAX_TEXT = 2_000
"""Of a description or a reason."""

ALL = "*"
"""In ``domain/*``: every entry of the domain."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
CHARACTERS = "at most 40 of a-z, 0-9 and _, a letter first"
"""Of a name, for people."""
_PROJECT = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?", re.ASCII)
_NUMBER = "(0|[1-9][0-9]{0,3})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}(?:\.[0-9A-Za-z.+-]{{0,40}})?", re.ASCII)
_TEXTS = ("description", "owner", "review", "label", "project", "reason")
_ASKED = ("type", "sensitivity", "values", "bounds", "label", "description", "reason")
BAD_RATE = "rate must be more than 0 and at most 1, with at most four decimals"
_DIGITS = 32
"""Of a question's digest, hex: enough that nobody finds two questions with the same."""
_LONGEST = {"label": MAX_LABEL, "owner": MAX_LINE, "review": MAX_LINE}


@dataclass(frozen=True)
class Question:
    """What an entry asks, as far as a yes to it goes. Owner, review and dates are no part of it."""

    digest: str
    """Of what it can say and of the words that a person is asked with, hex."""
    rate: float
    epsilon: float = 0.0

    @classmethod
    def of(cls, asked: object, rate: float, epsilon: float = 0.0) -> Question:
        """``asked``: all that is asked, in a form that JSON can write."""
        from hashlib import sha256  # late: it loads OpenSSL

        digest = sha256(json.dumps(asked).encode("ascii")).hexdigest()[:_DIGITS]
        return cls(digest, rate, epsilon)

    def covers(self, other: Question) -> bool:
        """Whether a yes to this one is one to ``other``, too: in the same words, with the same
        values, asked no oftener and randomised no less."""
        milder = not self.epsilon or 0 < other.epsilon <= self.epsilon
        return self.digest == other.digest and other.rate <= self.rate and milder


@dataclass(frozen=True)
class Metric:
    """One declared statistic, or one thing that a domain of error events reports, whose ``project``
    is the domain. Its name is ``project/key``."""

    key: str
    project: str
    label: str
    description: str
    reason: str
    owner: str
    review: str
    sensitivity: str
    expires: date
    type: str
    values: tuple[str, ...] = ()
    """Of an enumeration."""
    bounds: tuple[int, ...] = ()
    """Of a bucket: where the next one begins."""
    rate: float = RATE
    """The chance (0 to 1] that an installation reports it in a week."""
    epsilon: float = 0.0
    """Of k-ary randomised response (``mars.wire.randomized``); 0: the value is told as it is."""
    declared: date | None = None
    """Since when, for the catalogue; None where that is not said."""
    withdrawn: date | None = None
    """The first day on which it is not collected any more, before it would have expired."""
    purpose: str = STATISTICS

    @property
    def name(self) -> str:
        return f"{self.project}/{self.key}"

    @property
    def question(self) -> Question:
        """What a user is asked who is asked for it."""
        return Question.of([getattr(self, name) for name in _ASKED], self.rate, self.epsilon)

    @property
    def values_known(self) -> tuple[str, ...]:
        """All that a report of it can say, in order; of a version nothing is known beforehand."""
        return _known(self.type, self.values, self.bounds)

    def is_live(self, today: date) -> bool:
        """Whether it may be collected; ``expires`` is the first day on which it may not."""
        return today < self.expires and (self.withdrawn is None or today < self.withdrawn)

    def said(self, value: object) -> str:
        """``value`` of a provider (bool, whole number, text) as a report says it.

        Raises ``WireError`` (``bad-value``) for what is not declared; the value is not repeated.
        """
        told = self._told(value)
        if told is None:
            raise WireError("bad-value", f"{self.name} is {self._form}; give nothing else.")
        return told

    def _told(self, value: object) -> str | None:
        if self.type == BOOL:
            return BOOLS[value] if type(value) is bool else None
        if self.type == BUCKET:
            return self._bucket(value) if type(value) is int else None
        if type(value) is not str:
            return None
        if self.type == ENUM:
            return value if value in self.values else None
        match = _VERSION.fullmatch(value)
        return f"{match[1]}.{match[2]}" if match else None

    def _bucket(self, value: int) -> str:
        return self.values_known[sum(start <= value for start in _starts(self.bounds)[1:])]

    def fits(self, text: str) -> bool:
        """Whether a report may say ``text``. Of another type it could only claim to be equal."""
        if type(text) is not str:
            return False
        return text in self.values_known if self.type != VERSION else self._told(text) == text

    @property
    def _form(self) -> str:
        return {
            BOOL: "True or False",
            ENUM: f"one of {', '.join(self.values)}",
            BUCKET: "a whole number",
            VERSION: "a version such as 3.11",
        }[self.type]


BOOLS = ("false", "true")


def questions(metrics: Iterable[Metric]) -> dict[str, Question]:
    """Each by the name of its entry."""
    return {one.name: one.question for one in metrics}


def is_entry(name: str) -> bool:
    """Whether ``name`` has the form of an entry's, declared or not: ``project/key``, or
    ``domain/name.dimension``."""
    project, _, key = name.partition("/")
    parts = key.split(".")
    inside = len(parts) <= 2 and all(map(is_name, parts))
    return inside and bool((_PROJECT if len(parts) == 1 else _NAME).fullmatch(project))


def is_question(name: str) -> bool:
    """Whether ``name`` has the form of what a user is asked for, declared or not: a statistic's
    ``project/key``, or ``domain/*``, which is all that the domain reports."""
    project, _, key = name.partition("/")
    return is_name(project) if key == ALL else "." not in key and is_entry(name)


def is_name(text: str) -> bool:
    """Whether it may be the key of an entry, a domain, a name in it or a value."""
    return _NAME.fullmatch(text) is not None


def _known(kind: str, values: tuple[str, ...], bounds: tuple[int, ...]) -> tuple[str, ...]:
    if kind == BOOL:
        return BOOLS
    return values if kind == ENUM else tuple(_ranges(bounds))


def _starts(bounds: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((0, *bounds)))


def _ranges(bounds: tuple[int, ...]) -> Iterator[str]:
    """``0``, ``1-9``, ``10+`` of the bounds 1 and 10; nothing of none."""
    if not bounds:
        return
    starts = _starts(bounds)
    for first, after in pairwise(starts):
        yield str(first) if after == first + 1 else f"{first}-{after - 1}"
    yield f"{starts[-1]}+"


@dataclass(frozen=True)
class Fault:
    """What is wrong with one entry: its name as in the file (``project.key``, ``key``, ``domain``,
    ``domain.name``)."""

    name: str
    what: str


Entry = TypeVar("Entry")
Read = tuple[tuple[Entry, ...], tuple[Fault, ...]]


def read_metrics(table: Mapping[str, Any]) -> Read[Metric]:
    """The sound entries of ``metrics.toml``, and what is wrong with the others.

    An entry is ``[project.key]``, or ``[key]`` with its ``project`` as a member.
    """
    entries: dict[str, Any] = {}
    for name, entry in table.items():
        if isinstance(entry, dict) and entry and all(isinstance(e, dict) for e in entry.values()):
            entries |= {f"{name}.{key}": {"project": name, **one} for key, one in entry.items()}
        else:
            entries[name] = entry
    found, faults = read_each(entries, _metric_faults, _metric)
    names = [one.name for one in found]
    twice = [
        Fault(key, f"{one.name} is declared twice")
        for key, one in zip(_keys(entries, faults), found, strict=True)
        if names.count(one.name) > 1
    ]
    once = tuple(one for one in found if names.count(one.name) == 1)
    return once, (*faults, *twice)


def _keys(entries: Mapping[str, Any], faults: tuple[Fault, ...]) -> list[str]:
    wrong = {fault.name for fault in faults}
    return [name for name in entries if name not in wrong]


def read_each(
    entries: Mapping[str, Any],
    judge: Callable[[Mapping[str, Any]], list[str]],
    make: Callable[[str, Mapping[str, Any]], Entry],
) -> Read[Entry]:
    """What ``make`` makes of those entries with which ``judge`` finds nothing wrong; the parts of
    their names are judged here."""
    found: list[Entry] = []
    faults: list[Fault] = []
    for name, entry in entries.items():
        said = [
            f"{part!r} is not a name of {CHARACTERS}"
            for part in name.split(".", 1)
            if not (_NAME.fullmatch(part) or _is_project(name, part, entry))
        ]
        said += judge(entry) if isinstance(entry, dict) else ["must be a table"]
        faults += [Fault(name, what) for what in said]
        if not said:
            found.append(make(name, entry))
    return tuple(found), tuple(faults)


def _is_project(name: str, part: str, entry: object) -> bool:
    inside = isinstance(entry, dict) and entry.get("project") == part
    return inside and name.startswith(f"{part}.") and _PROJECT.fullmatch(part) is not None


def _metric(name: str, entry: Mapping[str, Any]) -> Metric:
    lists = {member: tuple(entry.get(member, ())) for member in ("values", "bounds")}
    numbers = {one: float(entry[one]) for one in ("rate", "epsilon") if one in entry}
    return Metric(key=name.rpartition(".")[2], **{**entry, **lists, **numbers})


def _metric_faults(entry: Mapping[str, Any]) -> list[str]:
    further = {"type", "values", "bounds", "rate", "epsilon"}
    said = common_faults(entry, _TEXTS, further)
    project = entry.get("project")
    if isinstance(project, str) and project and not _PROJECT.fullmatch(project):
        said.append(f"{project!r} is not a project's name of a-z, 0-9, _ and inner hyphens")
    kind = entry.get("type")
    if kind not in TYPES:
        return [*said, f"type must be one of {', '.join(TYPES)}"]
    said += _rates(entry, kind)
    if ("values" in entry) != (kind == ENUM) or ("bounds" in entry) != (kind == BUCKET):
        return [*said, "values belong to the type enum, bounds to the type bucket"]
    if kind == ENUM and not is_values(entry["values"]):
        said.append(f"values must be 2 to {MAX_VALUES} different names of {CHARACTERS}")
    if kind == BUCKET and not _is_bounds(entry["bounds"]):
        said.append(f"bounds must be 1 to {MAX_VALUES} whole numbers that grow")
    return said


def _rates(entry: Mapping[str, Any], kind: str) -> list[str]:
    """A rate of 0 to 1, an epsilon to ``MAX_EPSILON``, both with at most four decimals."""
    said = []
    if "rate" in entry and not is_decimal(entry["rate"], 1.0):
        said.append(BAD_RATE)
    if "epsilon" not in entry:
        return said
    if not is_decimal(entry["epsilon"], MAX_EPSILON):
        said.append(f"epsilon must be more than 0 and at most {MAX_EPSILON:g}, with four decimals")
    if kind == VERSION:
        said.append("epsilon needs a type whose values are all known, so no version")
    if "rate" not in entry:
        said.append("an entry with epsilon must state its rate")
    return said


def is_decimal(value: Any, most: float) -> bool:
    """Whether it is a number above 0, at most ``most``, with at most four decimals."""
    return type(value) in (int, float) and 0 < value <= most and bool(round(value, 4) == value)


def common_faults(
    entry: Mapping[str, Any], texts: tuple[str, ...], more: set[str], instead: str = ""
) -> list[str]:
    """Of the members that every entry has: ``texts``, sensitivity and days. Any but these and
    ``more`` is unknown, and what to say ``instead`` is told."""
    said = [
        f"{name} is missing or empty"
        for name in texts
        if not isinstance(entry.get(name), str) or not entry[name].strip()
    ]
    said += [fault for name in texts for fault in text_faults(name, entry.get(name))]
    if entry.get("sensitivity") not in SENSITIVITIES:
        said.append(f"sensitivity must be one of {', '.join(SENSITIVITIES)}")
    if type(entry.get("expires")) is not date:
        said.append("expires must be a date like 2027-06-30")
    days = ("declared", "withdrawn")
    wrong = [name for name in days if name in entry and type(entry[name]) is not date]
    said += [f"{name} must be a date like 2027-06-30" for name in wrong]
    unknown = sorted(set(entry) - {*texts, *more, *days, "sensitivity", "expires"})
    return said + [f"unknown entry {name}{instead}" for name in unknown]


def is_hidden(character: str) -> bool:
    """Whether it cannot be seen in a text, or turns text around. A line's end and a space are not
    hidden."""
    return character not in "\n " and unicodedata.category(character)[0] in "CZ"


def text_faults(name: str, text: object) -> Iterator[str]:
    """Everybody is shown these texts, on pages and in programs."""
    if not isinstance(text, str):
        return
    longest = _LONGEST.get(name, MAX_TEXT)
    if len(text) > longest:
        yield f"{name} has more than {longest} characters"
    if any(map(is_hidden, text)):
        yield f"{name} holds a character that cannot be seen, or that turns text around"
    if name in _LONGEST and "\n" in text:
        yield f"{name} must be a single line"


def is_values(values: object) -> bool:
    """Whether they may be those of an enumeration."""
    return (
        isinstance(values, list)
        and 2 <= len(values) <= MAX_VALUES
        and all(isinstance(value, str) and _NAME.fullmatch(value) for value in values)
        and len(set(values)) == len(values)
    )


def _is_bounds(bounds: object) -> bool:
    return (
        isinstance(bounds, list)
        and 1 <= len(bounds) <= MAX_VALUES
        and all(type(bound) is int and 0 < bound <= MAX_BOUND for bound in bounds)
        and bounds == sorted(set(bounds))
    )

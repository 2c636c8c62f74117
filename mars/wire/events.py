"""Error events: the domains that ``errors.toml`` declares, each with its causes, and what is
reported of a domain. Pure.

What is reported of failures is as declared as a statistic: each count, share or dimension is an
entry (``Domain.entries``) of few values, about the last seven complete days. Nothing of a single
failure is ever reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from mars.errors import WireError
from mars.wire.registry import (
    ALL,
    BAD_RATE,
    BOOL,
    BOOLS,
    BUCKET,
    CHARACTERS,
    ENUM,
    EVENTS,
    MAX_VALUES,
    RATE,
    Fault,
    Metric,
    Question,
    Read,
    common_faults,
    is_decimal,
    is_name,
    is_values,
    read_each,
    text_faults,
)
from mars.wire.times import DAY, WEEK

GRACE, MAX_GRACE = 60, DAY
LATE, MAX_LATE = DAY, WEEK
"""Seconds."""
MAX_DIMENSIONS = 4
NONE = "none"
"""What a dimension says where nothing failed."""
FAILED_SHARE, LATE_KEY = "failed_share", "late"
"""Keys of the two entries of a domain that are of all its names."""
RESERVED = (FAILED_SHARE, LATE_KEY, "description", "rate", "grace")
"""What no name can be called."""
ARGUMENTS = ("cause", "self", "subject")
"""What no dimension can be called: it is told beside these by its name."""
OTHER = "other"
"""The name for failures of no declared cause, by convention."""
COUNTS = (1, 2, 10, 100)
"""Bounds of how many failures."""
MIN_TRIES = 20
"""Fewer say nothing of a share."""
SHARES = FEW, NO_FAILURE, BELOW_1, BELOW_10, MORE = ("few", NONE, "below_1", "below_10", "more")
_TEXTS = ("description", "owner", "review")
_DOMAIN = ("description", "rate", "grace", "late")
_INSTEAD = (
    ": a report says a name and its declared dimensions alone, so what should be told beside the "
    'cause is a dimension with a list of names or "bool"'
)
_NO_DIMENSION = (
    "must be a list of 2 to {most} different names of {characters}, without {none}, "
    'or "bool": no text, number, time or identifier can be told, so name the few cases that a '
    "decision tells apart, such as below_1s and more; what resolves late is counted as that anyway"
)


@dataclass(frozen=True)
class Dimension:
    """What is told of a failure beside its cause: one of a few declared values."""

    name: str
    values: tuple[str, ...] = ()
    """Of an enumeration; none of a bool."""

    def said(self, value: object) -> str:
        """``value`` (text or bool) as a report says it.

        Raises ``WireError`` (``bad-value``) for what is not declared; the value is not repeated.
        """
        if self.values and type(value) is str and value in self.values:
            return value
        if not self.values and type(value) is bool:
            return BOOLS[value]
        form = f"one of {', '.join(self.values)}" if self.values else "True or False"
        raise WireError("bad-value", f"The dimension {self.name} is {form}; give nothing else.")


@dataclass(frozen=True)
class ErrorName:
    """One cause of failures, counted under its domain."""

    name: str
    description: str
    owner: str
    review: str
    sensitivity: str
    expires: date
    expected: bool = False
    """Whether it is left out of the share that failed, such as what the user cancelled."""
    declared: date | None = None
    withdrawn: date | None = None
    dimensions: tuple[Dimension, ...] = ()

    @property
    def ends(self) -> date:
        """The first day on which it is not collected."""
        return min(self.expires, self.withdrawn or self.expires)


@dataclass(frozen=True)
class Domain:
    """What can fail in one part of an application. A user is asked for all of it as one."""

    name: str
    names: tuple[ErrorName, ...]
    description: str = ""
    rate: float = RATE
    """Reports a week of the whole domain, shared evenly among its entries."""
    grace: int = GRACE
    """Seconds within which a failure that resolves is none."""
    late: int = LATE
    """Seconds up to which a later resolution is known as late."""

    @property
    def wildcard(self) -> str:
        """The name of what a user agrees to: ``domain/*``."""
        return f"{self.name}/{ALL}"

    @cached_property
    def question(self) -> Question:
        """What a user is asked who is asked for it. A new cause asks nothing new."""
        told = [(name.name, it.name, it.values) for name in self.names for it in name.dimensions]
        return Question.of([self.name, self.description, sorted(told)], self.most_rate)

    @property
    def most_rate(self) -> float:
        """Reports a week of all entries together: ``rate``, or more where that leaves less than
        0.0001 to each."""
        return max(self.rate, self._reported / 10_000)

    def cause(self, name: str) -> ErrorName | None:
        """None where none is declared."""
        return next((one for one in self.names if one.name == name), None)

    def is_live(self, today: date) -> bool:
        """Whether anything of it may be collected."""
        return any(today < name.ends for name in self.names)

    @cached_property
    def entries(self) -> tuple[Metric, ...]:
        """All that is reported of it, for each name its count and its dimensions, then the share
        that failed and how many resolved late."""
        return (*(each for name in self.names for each in self._of(name)), *self._of_all())

    def _of(self, name: ErrorName) -> Iterator[Metric]:
        label = _in_words(name.name)
        yield self._entry(name, name.name, label, name.description, bounds=COUNTS)
        for dimension in name.dimensions:
            known = (NONE, *(dimension.values or BOOLS))
            words = _in_words(dimension.name).lower()
            text = f"Of the last failure of this cause in seven days, or none. {name.description}"
            key = f"{name.name}.{dimension.name}"
            yield self._entry(name, key, f"{label}: {words}", text, values=known)

    def _of_all(self) -> Iterator[Metric]:
        last = max(self.names, key=lambda name: name.ends)
        share = (
            "Which share of the tries of seven days failed, without failures that are expected: "
            f"few tries (fewer than {MIN_TRIES}), none, below 1 %, below 10 %, more."
        )
        late = "How many failures of seven days resolved late."
        yield self._entry(last, FAILED_SHARE, "Failed share", share, values=SHARES)
        yield self._entry(last, LATE_KEY, "Resolved late", late, bounds=COUNTS)

    def _entry(
        self,
        name: ErrorName,
        key: str,
        label: str,
        description: str,
        values: tuple[str, ...] = (),
        bounds: tuple[int, ...] = (),
    ) -> Metric:
        """Owned and reviewed as ``name`` is, and collected as long."""
        return Metric(
            key=key,
            project=self.name,
            label=label,
            description=description,
            reason=f"To know which causes of failures in {self.name} to mend first.",
            owner=name.owner,
            review=name.review,
            sensitivity=name.sensitivity,
            expires=name.expires,
            type=ENUM if values else BUCKET,
            values=values,
            bounds=bounds,
            rate=self._share,
            declared=name.declared,
            withdrawn=name.withdrawn,
            purpose=EVENTS,
        )

    @property
    def _reported(self) -> int:
        """How many entries it has. What is withdrawn counts, so that no other rate jumps."""
        return sum(1 + len(name.dimensions) for name in self.names) + 2

    @property
    def _share(self) -> float:
        """The rate of each entry."""
        return max(round(self.rate * 10_000) // self._reported, 1) / 10_000


def failed_share(failed: int, tries: int) -> str:
    """How the share of ``failed`` among ``tries`` is told; both without what is expected."""
    if tries < MIN_TRIES:
        return FEW
    if not failed:
        return NO_FAILURE
    if failed * 100 < tries:
        return BELOW_1
    return BELOW_10 if failed * 10 < tries else MORE


def read_errors(table: Mapping[str, Any]) -> Read[Domain]:
    """The domains of ``errors.toml`` with their sound names, and what is wrong with the others.

    A domain is ``[domain]`` with settings that may be left out, and a name in it ``[domain.name]``.
    """
    found: list[Domain] = []
    faults: list[Fault] = []
    for name, inside in table.items():
        if not isinstance(inside, dict):
            faults.append(Fault(name, "must be a table"))
            continue
        names, wrong = _names(name, inside)
        own = {member: one for member, one in inside.items() if not isinstance(one, dict)}
        said = [*_domain_faults(own)]
        if not (names or wrong):
            said.append("declares no name: a cause is a table of its own, [domain.name]")
        faults += [*(Fault(name, what) for what in said), *wrong]
        if names and not said:
            rate = {member: float(own[member]) for member in own if member == "rate"}
            found.append(Domain(name, names, **{**own, **rate}))
    return tuple(found), tuple(faults)


def _names(domain: str, inside: Mapping[str, Any]) -> Read[ErrorName]:
    entries = {f"{domain}.{name}": one for name, one in inside.items() if isinstance(one, dict)}
    taken = [name for name in entries if name.rpartition(".")[2] in RESERVED]
    free = {name: one for name, one in entries.items() if name not in taken}
    found, faults = read_each(free, _name_faults, _name)
    said = "is a word of the domain's own: give the cause another name"
    return found, (*faults, *(Fault(name, said) for name in taken))


def _name(name: str, entry: Mapping[str, Any]) -> ErrorName:
    dimensions = tuple(
        Dimension(one, () if values == BOOL else tuple(values))
        for one, values in entry.get("dimensions", {}).items()
    )
    return ErrorName(name.rpartition(".")[2], **{**entry, "dimensions": dimensions})


def _name_faults(entry: Mapping[str, Any]) -> list[str]:
    said = common_faults(entry, _TEXTS, {"expected", "dimensions"}, _INSTEAD)
    if type(entry.get("expected", False)) is not bool:
        said.append("expected must be true or false")
    dimensions = entry.get("dimensions", {})
    if not isinstance(dimensions, dict) or len(dimensions) > MAX_DIMENSIONS:
        return [*said, f"dimensions must be a table of at most {MAX_DIMENSIONS}"]
    for name, values in dimensions.items():
        if not is_name(name):
            said.append(f"{name!r} is not a name of {CHARACTERS}")
        if name in ARGUMENTS:
            said.append(f"no dimension can be called {', '.join(ARGUMENTS)}: give it another name")
        if values != BOOL and not (
            is_values(values) and len(values) < MAX_VALUES and NONE not in values
        ):
            form = _NO_DIMENSION.format(most=MAX_VALUES - 1, none=NONE, characters=CHARACTERS)
            said.append(f"the dimension {name} {form}")
    return said


def _domain_faults(own: Mapping[str, Any]) -> Iterator[str]:
    """Of all members but the names."""
    if type(own.get("description", "")) is not str:
        yield "description must be a text"
    yield from text_faults("description", own.get("description"))
    if not is_decimal(own.get("rate", RATE), 1.0):
        yield BAD_RATE
    grace, late = own.get("grace", GRACE), own.get("late", LATE)
    if type(grace) is not int or not 0 <= grace <= MAX_GRACE:
        yield f"grace must be 0 to {MAX_GRACE} seconds"
    elif type(late) is not int or not grace < late <= MAX_LATE:
        yield f"late must be more seconds than grace, and at most {MAX_LATE}"
    yield from (f"unknown entry {name}" for name in sorted(set(own) - set(_DOMAIN)))


def _in_words(name: str) -> str:
    return name.replace("_", " ").capitalize()

"""The desk of whoever answers error reports: list, show, resolve, note, delete. What a command or
a console shows goes through here; escaping it is theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from mars.errors import ConfigError, StateError
from mars.wire.product import is_release
from mars.wire.reports.direct import prefix_of
from mars.wire.reports.fault import Fault
from mars.wire.reports.status import KNOWN, MAX_SUMMARY, MAX_TEXT, OPEN, RESOLVED
from mars_server.storage import Engine
from mars_server.storage.triage import deleting, groups, store
from mars_server.storage.triage.groups import Group, Member, Report, Unread
from mars_server.triage.answers import REOPENED, Word, state
from mars_server.triage.rules import Rules, invisible

STATES = (REOPENED, OPEN, KNOWN, RESOLVED)
"""Of a group: the first that one of its reports is in."""
_LIMITS = {"summary": MAX_SUMMARY, "how": MAX_TEXT, "fix": MAX_TEXT, "memo": MAX_TEXT}


class Resolution(NamedTuple):
    """What those are told who sent a report of a fault."""

    release: str = ""
    """That it is fixed in; empty where nothing more is done."""
    summary: str = ""
    how: str = ""
    """How it happens."""
    fix: str = ""
    """What to do."""


@dataclass(frozen=True)
class Entry:
    """A group as it is listed. Numbers are exact and for the operator alone."""

    number: int
    title: str
    state: str
    """One of ``STATES``."""
    direct: int
    """Reports."""
    crowd: int
    """Installations, as far as they told the truth."""
    releases: tuple[str, ...]
    rules: tuple[int, ...]
    """Numbers of the rules that claim some of it."""
    word: Word
    memo: str = ""


@dataclass(frozen=True)
class Details:
    """A group with all that can be read of it."""

    entry: Entry
    members: tuple[Member, ...]
    reports: tuple[Report, ...]


@dataclass(frozen=True)
class Overview:
    """All groups with what can be read of them. Of a group that came or went while they were read
    nothing is listed."""

    rules: Rules = field(repr=False)
    groups: Sequence[Group] = field(repr=False)
    """In the order in which they came up."""
    members: Sequence[Member] = field(repr=False)
    """By their groups."""

    def entries(
        self, states: Collection[str] = (), release: str = "", text: str = ""
    ) -> list[Entry]:
        """Groups, those first that most installations met; of ``states``, that ``release`` has,
        with ``text`` in the title, where any of these is given."""
        known = {each.id: each for each in self.groups}
        listed = [
            _entry(self.rules, known[number], tuple(some))
            for number, some in groupby(self.members, lambda it: it.group)
            if number in known
        ]
        wanted = [
            each
            for each in listed
            if (not states or each.state in states)
            and (not release or release in each.releases)
            and text.lower() in each.title.lower()
        ]
        return sorted(wanted, key=lambda it: (-it.direct - it.crowd, it.number))

    def conflicts(self) -> list[tuple[Fault, tuple[int, ...]]]:
        """Faults that more than one rule claims, and the rules' numbers."""
        found = self.rules.conflicts(member.fault for member in self.members)
        return [(fault, tuple(claim.number for claim in claims)) for fault, claims in found]

    def claimed(self) -> Counter[int]:
        """How many reports and shares each rule claims, by its number; 0 for none."""
        numbers: Counter[int] = Counter({claim.number: 0 for claim in self.rules.claims})
        for member in self.members:
            for claim in self.rules.of(member.fault):
                numbers[claim.number] += member.direct + member.crowd
        return numbers


@dataclass
class Desk:
    """Of one database. The rules are those that hold now."""

    engine: Engine
    rules: Rules = field(default_factory=Rules)

    def overview(self) -> Overview:
        """Of all groups."""
        with self.engine.connect() as connection:
            return Overview(self.rules, groups.each(connection), groups.members(connection))

    def is_listed(self, number: int) -> bool:
        """Whether anything of this group can be read."""
        with self.engine.connect() as connection:
            return bool(groups.members(connection, number))

    def unread(self) -> Unread:
        """Faults that too few have met."""
        with self.engine.connect() as connection:
            return groups.unread(connection)

    def show(self, name: str) -> Details:
        """The group of this number, or that of the report with this GUID. Raises ``StateError``
        (``group-unknown``, ``report-unknown``)."""
        number = self._number(name)
        with self.engine.connect() as connection:
            group = groups.one(connection, number)
            found = tuple(groups.members(connection, number))
            reports = tuple(groups.direct(connection, number))
        return Details(_entry(self.rules, group, found), found, reports)

    def resolve(self, name: str, day: str, said: Resolution) -> None:
        """Raises as ``show``, and ``ConfigError`` (``release-invalid``, ``text-too-long``,
        ``text-invisible``)."""
        if said.release and not is_release(said.release):
            raise ConfigError("release-invalid", "A release is written like 0.5.3.")
        self._change(name, day, {"state": RESOLVED, **said._asdict()})

    def reopen(self, name: str, day: str) -> None:
        """Takes ``resolve`` back. Raises as ``show``."""
        self._change(name, day, {"state": OPEN, **Resolution()._asdict()})

    def note(self, name: str, day: str, text: str, *, private: bool = False) -> None:
        """Puts a word in the place of the last: the senders read it in the broadcast, or, where it
        is ``private``, nobody but the operator. Raises as ``resolve``."""
        self._change(name, day, {"memo" if private else "summary": text})

    def delete(self, name: str, day: str) -> int:
        """Deletes a report by its GUID, or all direct reports of a group by its number; how many
        there were. They do not come back, and the broadcast says that they are gone. Raises as
        ``show``."""
        guids = self._guids(name)
        with self.engine.begin() as connection:
            deleting.bury(connection, {prefix_of(it) or b"": True for it in guids}, day)
            n = deleting.remove(connection, guids)
        store.wiped(self.engine)
        return n

    def _change(self, name: str, day: str, said: dict[str, str]) -> None:
        for key, most in _LIMITS.items():
            if len(said.get(key, "")) > most:
                told = f"{key} has at most {most} characters; make it shorter, or say more in how."
                raise ConfigError("text-too-long", told)
            if found := invisible(said.get(key, "")):
                raise ConfigError("text-invisible", f"{key} holds {found}; write it without.")
        number = self._number(name)
        with self.engine.begin() as connection:
            groups.change(connection, number, day, said)

    def _guids(self, name: str) -> list[str]:
        number = self._number(name)
        if prefix_of(name):
            return [name]
        with self.engine.connect() as connection:
            found = groups.direct(connection, groups.one(connection, number).id)
            return [each.guid for each in found]

    def _number(self, name: str) -> int:
        if name.isascii() and name.isdigit() and len(name) < 10:
            return int(name)
        with self.engine.connect() as connection:
            number = groups.group_of(connection, name)
        if number is None:
            raise _no_report(name)
        return number


def _entry(rules: Rules, group: Group, found: Sequence[Member]) -> Entry:
    word = word_of(group)
    states = {state(word, rules, each.fault, each.release) for each in found}
    return Entry(
        group.id,
        group.title,
        next((each for each in STATES if each in states), group.state),
        sum(each.direct for each in found),
        sum(each.crowd for each in found),
        tuple(sorted({each.release for each in found})),
        _claims(rules, found),
        word,
        group.memo,
    )


def word_of(group: Group) -> Word:
    """What a person said of it."""
    said = group.release, group.summary, group.how, group.fix
    return Word(group.id, group.state, *said)


def _claims(rules: Rules, found: Iterable[Member]) -> tuple[int, ...]:
    return tuple(sorted({claim.number for each in found for claim in rules.of(each.fault)}))


def _no_report(name: str) -> StateError:
    told = "There is no such report" if prefix_of(name) else "That is neither a group nor a GUID"
    return StateError("report-unknown", f"{told}; see errors list.")

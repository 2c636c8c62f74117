"""What an attacker has after a year: of every report its day and content, of every fetch its day;
and the truth, whose each one is, against which answers are judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mars.wire.times import DAY
from testbed.reports.client import NEWS, REGISTRY
from testbed.reports.people import BEGIN, Person

Ints = NDArray[np.int64]
EDGE = 21
"""Days before the first and after the last that a table of days has beside; a multiple of 7."""


@dataclass(frozen=True)
class Record:
    """The reports by owner and time, one index each."""

    days: int
    owner: Ints
    day: Ints
    entry: Ints
    """Which plug-in; the larger, the rarer."""
    content: Ints
    """A number for each pair of entry and value."""
    news: Ints
    """Installations by days (with ``EDGE``): the fetches of each; the registry's likewise."""
    registry: Ints

    @classmethod
    def of(
        cls, people: Sequence[Person], weeks: int, kind: Callable[[str], int] | None = None
    ) -> Record:
        """What these sent in so many weeks. ``kind`` says which ``entry`` a report is of, where
        its name is not that of a plug-in, and then what it says is all of its content."""
        width = weeks * 7
        fetched = {what: np.zeros((len(people), width + 2 * EDGE), int) for what in FETCHED}
        contents: dict[object, int] = {}
        rows = []
        for owner, person in enumerate(people):
            for sent, said in zip(person.sent, person.said, strict=True):
                day = (sent.when - BEGIN) // DAY
                if not 0 <= day < width:
                    continue
                if sent.what in FETCHED:
                    fetched[sent.what][owner, EDGE + day] += 1
                    continue
                says = said if kind else (sent.what, said)
                content = contents.setdefault(says, len(contents))
                rows.append((owner, day, (kind or _plugin)(sent.what), content))
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return cls(
            width,
            owner=columns[0],
            day=columns[1],
            entry=columns[2],
            content=columns[3],
            news=fetched[NEWS],
            registry=fetched[REGISTRY],
        )

    def __len__(self) -> int:
        return len(self.owner)

    @cached_property
    def of_owner(self) -> dict[int, Ints]:
        """The reports of each installation."""
        return _by(self.owner)

    @cached_property
    def of_content(self) -> dict[int, Ints]:
        """The reports with each content."""
        return _by(self.content)

    def table(self, known: Sequence[Ints]) -> Ints:
        """For each collection of reports how many went on each day, with ``EDGE``."""
        rows = np.repeat(np.arange(len(known)), [len(some) for some in known])
        found = np.zeros((len(known), self.days + 2 * EDGE), int)
        if len(rows):
            np.add.at(found, (rows, EDGE + self.day[np.concatenate(known)]), 1)
        return found


FETCHED = (NEWS, REGISTRY)


def _plugin(entry: str) -> int:
    return int(entry[len("plugin") :].partition("/")[0])


def _by(keys: Ints) -> dict[int, Ints]:
    found: dict[int, list[int]] = defaultdict(list)
    for at, key in enumerate(keys.tolist()):
        found[key].append(at)
    return {key: np.array(some) for key, some in found.items()}

"""One installation of the simulation: the client's own times, without files and network.

Wake-ups at which nothing can happen are left out, since nothing depends on them (``whole`` keeps
them, and a test compares).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mars.channels import draws as rules
from mars.channels.draws import Draw, Draws, Wanted
from mars.core import days, schedule
from mars.core.schedule import LONGEST_SLEEP, PAUSE, Schedule
from mars.core.state import State
from mars.ports import Chance
from mars.wire.times import WEEK, week_start
from testbed.reports.habits import Span

NEWS, REGISTRY = "news", "registry"
"""What is fetched; a report is known by its entry's name."""


class Sent(NamedTuple):
    """One request, as it left."""

    when: int
    """Unix time."""
    what: str


@dataclass
class Client:
    """Who agreed to ``wants`` long ago, and runs from ``begun`` on, a Monday."""

    wants: Mapping[str, Wanted]
    begun: int
    chance: Chance
    apart: bool = True
    """One request a day at most, as the client has it."""
    whole: bool = False
    draws: Draws = field(default_factory=Draws)
    fetches: dict[str, Schedule] = field(init=False)
    """The news come first."""
    state: State = field(default_factory=State)
    """Which days are used."""
    made: dict[int, int] = field(default_factory=dict)
    """Of each week how many reports were drawn."""

    def __post_init__(self) -> None:
        self.fetches = {what: schedule.begin(self.begun, self.chance) for what in (NEWS, REGISTRY)}

    def run(self, spans: Iterable[Span]) -> Iterator[Sent]:
        """What it sends while its computer runs."""
        ran: int | None = None
        for span in spans:
            if span.starts:
                self._rest(ran)
                ran = None
            now = span.begin
            while now < span.end:
                went, sleep = self._step(now, ran)
                if went:
                    yield Sent(now - span.ahead, went)
                ran = min(sleep, span.end - now)
                now += ran
        self._rest(ran)

    def _rest(self, ran: int | None) -> None:
        for what, due in self.fetches.items():
            self.fetches[what] = schedule.rested(due, ran)
        self.draws = rules.rested(self.draws, ran)

    def _step(self, now: int, ran: int | None) -> tuple[str, int]:
        """One look at everything: what goes, and the seconds to sleep."""
        due = [what for what in self.fetches if self._is_fetched(what, now, ran)]
        draw = self._look(now, ran)
        if due:
            went = due[0]
            self.fetches[went] = schedule.attempt(self.fetches[went], now, self.chance)
        elif draw is not None:
            went = draw.name
            self.draws = rules.spent(self.draws, draw)
        else:
            return "", LONGEST_SLEEP if self.whole else self._until(now)
        self.state = days.used(self.state, now)
        return went, PAUSE

    def _is_free(self, what: str, now: int) -> bool:
        """The news keep their time; nothing else goes on their day."""
        keeps = None if what == NEWS else self.fetches[NEWS].due
        return not self.apart or days.is_free(self.state, now, keeps)

    def _is_fetched(self, what: str, now: int, ran: int | None) -> bool:
        """Whether this fetch goes now."""
        closed = 0 if self._is_free(what, now) else days.after(now)
        looked, sleep = schedule.look(self.fetches[what], now, ran, self.chance, closed=closed)
        self.fetches[what] = looked
        return not sleep

    def _look(self, now: int, ran: int | None) -> Draw | None:
        """The report that goes now."""
        before = self.draws.weeks
        self.draws, due, _ = rules.look(
            self.draws,
            self.wants,
            now,
            ran,
            self.chance,
            free=self._is_free("", now),
            day_after=days.after(now),
        )
        if self.draws.weeks != before:
            week = week_start(now)
            self.made[week] = sum(draw.week == week for draw in self.draws.pending)
        return due

    def _until(self, now: int) -> int:
        """Seconds until anything can happen."""
        times = [week_start(now) + WEEK, *(draw.earliest(now) for draw in self.draws.pending)]
        fetches = self.fetches.values()
        times += [one.due if one.wait is None else now + one.wait for one in fetches]
        return max(min(times) - now, 1)

"""One installation of the simulation that also meets faults: its error reports, the requests to
delete them, and the look-ups of answers, at the client's own times (``sending`` of the channels).

``Rules`` out of which something is taken show what each is worth; the client has none of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mars.channels import sending
from mars.channels.draws import MOVED_WITHIN
from mars.channels.sending import DELETION_SPREAD, SPREAD, Memory
from mars.core import days, schedule
from testbed.reports.client import Client

STATUS = "status"
"""What is fetched beside news and registry."""


@dataclass(frozen=True)
class Rules:
    """As the client has them, unless told otherwise."""

    apart: bool = True
    """One request a day at most."""
    spread: int = SPREAD
    deletion_spread: int = DELETION_SPREAD
    """Seconds over which times are uniform."""
    asked_by_all: bool = True
    """Answers are asked for with a report or without; else from the first report on."""


CLIENT = Rules()


@dataclass(frozen=True)
class Act:
    """A report of that name is released, or its deletion asked for."""

    when: int
    """Unix time."""
    name: str
    deletion: bool = False


def deletion_of(name: str) -> str:
    """What a request to delete that report is known by."""
    return f"delete {name}"


@dataclass
class Reporter(Client):
    """What its user does happens when the computer runs, or as soon as it does."""

    acts: Sequence[Act] = ()
    rules: Rules = CLIENT
    answered: bool = True
    """Whether the intake answers as it should; else each is tried three times."""
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.apart = self.rules.apart
        self._coming = sorted(self.acts, key=lambda act: act.when)
        if self.rules.asked_by_all:
            self.fetches[STATUS] = schedule.begin(self.begun, self.chance)

    @property
    def is_done(self) -> bool:
        """Whether nothing of it waits any more."""
        return not (self._coming or self.memory.pending)

    def _rest(self, ran: int | None) -> None:
        super()._rest(ran)
        self._pending(tuple(one.rested(ran) for one in self.memory.pending))

    def _step(self, now: int, ran: int | None) -> tuple[str, int]:
        self._act(now)
        late = (one.rested(ran).late(now, ran, self.chance) for one in self.memory.pending)
        self._pending(tuple(late))
        went, sleep = super()._step(now, ran)
        return (went, sleep) if went else self._report(now)

    def _report(self, now: int) -> tuple[str, int]:
        """As ``ReportsChannel.look``."""
        due = [one for one in self.memory.pending if one.is_due(now)]
        one = sending.first(due, now)
        if one is not None and self._is_free("", now):
            return self._send(one, now), schedule.PAUSE
        moved = [each.moved(days.after(now), MOVED_WITHIN, self.chance) for each in due]
        self.memory = self.memory.putting(*moved)
        return "", schedule.LONGEST_SLEEP if self.whole else self._until(now)

    def _send(self, one: sending.Pending, now: int) -> str:
        self.memory = sending.begun(self.memory, one, now, self.chance)
        trying = self.memory.find(one.id, deletion=one.deletion)
        if trying is not None:
            after, done = days.after(now), self.answered
            self.memory = sending.ended(
                self.memory, trying, after, self.chance, left=True, done=done
            )
        self.state = days.used(self.state, now)
        self.fetches.setdefault(STATUS, schedule.begin(now, self.chance))
        return deletion_of(one.id) if one.deletion else one.id

    def _act(self, now: int) -> None:
        while self._coming and self._coming[0].when <= now:
            act = self._coming.pop(0)
            take = self.memory.deleting if act.deletion else self.memory.released
            self.memory = take(act.name, now, self.chance)
            self._spread(act, now)

    def _spread(self, act: Act, now: int) -> None:
        """Where the rules say another time than the client's, to it."""
        said = self.rules.deletion_spread if act.deletion else self.rules.spread
        own = DELETION_SPREAD if act.deletion else SPREAD
        made = self.memory.find(act.name, deletion=act.deletion)
        if made is not None and said != own:
            due = now + (made.due - now) * said // own
            self.memory = self.memory.putting(replace(made, due=due))

    def _pending(self, pending: tuple[sending.Pending, ...]) -> None:
        self.memory = replace(self.memory, pending=pending)

    def _until(self, now: int) -> int:
        times = [one.earliest(now) for one in self.memory.pending]
        times += [act.when for act in self._coming[:1]]
        return max(min([super()._until(now), *(at - now for at in times)]), 1)

"""What lies beside the news and is fetched once in each MOTD period, changed or not: the same
request by all who agreed to its purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mars.channels.memory import plain_schedule, read_schedule
from mars.channels.motd import Motd, beside, check_url, source
from mars.consent import PLAIN, Purpose
from mars.core import schedule
from mars.core.channel import FILE, Ending, Kept, NextRequest, View
from mars.core.days import DAY_USED
from mars.core.schedule import Schedule
from mars.core.state import State, is_misunderstood, read, text, time
from mars.ports import Chance
from mars.wire.request import HTTPRequest


@dataclass(frozen=True)
class Memory:
    """What is remembered beside the document itself."""

    schedule: Schedule | None = None
    began: int | None = None
    """When a scheduled request was last begun."""
    serial: int | None = None
    """Of the document that was last accepted, where it has one; ..."""
    digest: str | None = None
    """... the SHA-256 of its payload, hex."""

    @classmethod
    def of(cls, state: State, channel: str) -> Memory:
        kept = state.kept(channel)
        return cls(**{name: read(reader, kept.get(name)) for name, reader in _READERS.items()})

    def plain(self) -> dict[str, Any]:
        """What ``of`` reads; what is not there is left out."""
        said = {**asdict(self), "schedule": plain_schedule(self.schedule)}
        return {name: value for name, value in said.items() if value is not None}


class Beside:
    """The half of a ``mars.core.channel.Channel`` that says when, and where from."""

    name: str
    purposes: tuple[Purpose, ...]
    path: str
    """Where our servers have it."""

    def __init__(self, motd: Motd) -> None:
        self._motd = motd

    def can_judge(self, view: View) -> bool:
        """Whether an answer could be accepted; without, nothing is asked for."""
        raise NotImplementedError

    def stopped(self, state: State) -> Kept:
        return replace(self.memory(state), schedule=None).plain()

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        known = self.memory(view.state)
        resting = known.schedule or _begun(known, view.now, chance)
        closed = 0 if view.free else view.day_after
        looked, sleep = schedule.look(
            resting, view.now, ran, chance, floor=view.app.built, closed=closed
        )
        if not (sleep or self.can_judge(view)):
            looked = schedule.attempt(looked, view.now, chance)
            sleep = schedule.LONGEST_SLEEP
        return replace(known, schedule=looked).plain(), sleep

    def due(self, state: State) -> int | None:
        found = self.memory(state).schedule
        return found.due if found else None

    def attempt(self, view: View, chance: Chance) -> Kept:
        known = self.memory(view.state)
        due = known.schedule or _begun(known, view.now, chance)
        after = schedule.attempt(due, view.now, chance)
        return replace(known, schedule=after, began=view.now).plain()

    def rested(self, state: State, ran: int | None) -> Kept:
        known = self.memory(state)
        if known.schedule is None:
            return state.kept(self.name)
        return replace(known, schedule=schedule.rested(known.schedule, ran)).plain()

    def asked_for(self, view: View, url: str | None, limit: int) -> NextRequest:
        """From where the news come; the same for everyone, without a query, through Tor alone.
        ``limit``: bytes of an answer."""
        address = url or source(view)
        if address.startswith(FILE):
            place = address.rpartition("/")[0] + self.path.removeprefix("/motd")
            request = HTTPRequest("GET", place)
        else:
            location = beside(check_url(address, by_hand=bool(url)), self.path)
            request = HTTPRequest.get(location.url)
        return NextRequest(PLAIN, request, None, {}, limit=limit)

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        """Whatever came back, the next one is asked for a period later, as by everybody."""
        known = self.memory(view.state)
        if not scheduled or known.schedule is None:
            return known.plain()
        if ending.reason == DAY_USED:
            after = schedule.moved(known.schedule, view.day_after, chance)
        elif ending.left:
            steering = self._motd.steering(view.state)
            asked = steering.reportback_next if steering else 0
            after = schedule.succeeded(known.schedule, view.now, chance, asked)
        else:
            after = schedule.failed(known.schedule, view.now, chance, left=False)
        return replace(known, schedule=after).plain()

    def is_damaged(self, state: State) -> bool:
        return is_misunderstood(state.kept(self.name), _READERS)

    def memory(self, state: State) -> Memory:
        return Memory.of(state, self.name)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "schedule": read_schedule,
    "began": time,
    "serial": time,
    "digest": text,
}


def _begun(known: Memory, now: int, chance: Chance) -> Schedule:
    """From the date of consent, as the news; a yes taken back and given anew asks no sooner."""
    begun = schedule.begin(now, chance)
    if known.began is None:
        return begun
    return replace(begun, due=max(begun.due, known.began + schedule.SHORTEST))

"""When declared statistics and error events are sent: the draws of a week, and how they wait. Pure.

All draws of a week are made at its first look: for each entry a coin with its declared rate, and a
time uniform over the whole week. The client and the population simulation use these very functions,
so that the share of declared draws that arrive is tried against the true rules. A draw of a time
that passed while nothing ran waits in running time, into the next week if need be: dropping it at
the week's end would under-sample machines that are often off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mars.core.schedule import LONGEST_SLEEP
from mars.core.waiting import Waiting, sleep
from mars.ports import Chance
from mars.wire.times import DAY, WEEK, week_start

LATEST = 4 * WEEK
"""After the end of its week, from when on a draw is dropped."""
AHEAD = WEEK
"""A week that was drawn farther ahead than this comes from a wrong clock, and is forgotten."""
MOVED_WITHIN = 2 * DAY
"""A draw that may not go on its day goes at a time uniform over these, from the next midnight. Of
machines in offices that sleep for fortnights a longer time loses more: two of a hundred over three
days, six over seven, as what waits for too long is dropped."""
MOST = 256
"""Draws that wait. One goes a day, so that of more than this most would be dropped as too old."""
REMEMBERED = 4
"""Weeks that were drawn: where one of a wrong clock is forgotten, the true ones are still known."""


@dataclass(frozen=True)
class Wanted:
    """One entry that the user agreed to and that is collected now."""

    rate: float
    """The chance that it is reported in a week."""
    since: int
    """Unix time of the yes, or since when there is something to be told: no week that began before
    it is drawn."""


@dataclass(frozen=True)
class Draw(Waiting):
    """One report to come."""

    name: str
    """Of the entry: ``project/key``, or ``domain/name.dimension``."""
    week: int
    """For which it was drawn: its Monday, Unix time."""
    due: int
    """Unix time."""
    wait: int | None = None


@dataclass(frozen=True)
class Draws:
    """What is kept between sessions."""

    weeks: tuple[int, ...] = ()
    """The last ones that were drawn, by their Mondays (Unix time), oldest first."""
    pending: tuple[Draw, ...] = ()

    def upcoming(self, now: int) -> Draw | None:
        """The one that goes first, as things stand."""
        return min(self.pending, key=lambda draw: (draw.earliest(now), draw.due), default=None)


Wants = Mapping[str, Wanted]


def look(
    draws: Draws,
    wants: Wants | None,
    now: int,
    ran: int | None,
    chance: Chance,
    *,
    free: bool = True,
    day_after: int,
    floor: int = 0,
) -> tuple[Draws, Draw | None, int]:
    """What is to be kept, the one draw that is due now, if any, and else seconds until the next
    look.

    ``wants`` is None while no registry is known: nothing is drawn, nothing goes and nothing is
    lost. ``ran`` is the running time in seconds since the last look, None at a session's first.
    ``free`` says whether anything may go on this day, ``day_after`` (Unix time) when the next one
    begins. ``floor`` is a time known to have passed: a clock before it is wrong, and then nothing
    is done.
    """
    if now < floor - DAY:
        return draws, None, LONGEST_SLEEP
    known = _remaining(draws, now)
    if wants is not None:
        known = _drawn(_agreed(known, wants), wants, now, chance)
    pending = tuple(draw.late(now, ran, chance) for draw in rested(known, ran).pending)
    known = replace(known, pending=pending)
    due = sorted((draw for draw in pending if draw.is_due(now)), key=lambda draw: draw.due)
    if due and free and wants is not None:
        return known, due[0], 0
    for draw in due:
        known = moved(known, draw, day_after, chance)
    return known, None, sleep(known.pending, now, ran)


def spent(draws: Draws, draw: Draw) -> Draws:
    """To be stored *before* it is tried: whatever happens then, it does not go twice."""
    return replace(draws, pending=tuple(one for one in draws.pending if one != draw))


def bounded(draws: Draws) -> Draws:
    """At most ``MOST``, as what is kept is bounded: those of the first weeks and times."""
    if len(draws.pending) <= MOST:
        return draws
    first = sorted(draws.pending, key=lambda one: (one.week, one.due))
    return replace(draws, pending=tuple(first[:MOST]))


def moved(draws: Draws, draw: Draw, day_after: int, chance: Chance) -> Draws:
    """``draw`` goes on another day: its own is used, or nothing of it could leave."""
    after = draw.moved(day_after, MOVED_WITHIN, chance)
    return replace(draws, pending=(*spent(draws, draw).pending, after))


def rested(draws: Draws, ran: int | None) -> Draws:
    """After ``ran`` seconds of running time: what is left of the waits."""
    return replace(draws, pending=tuple(draw.rested(ran) for draw in draws.pending))


def _remaining(draws: Draws, now: int) -> Draws:
    """Without what comes from a clock that was far ahead, and without draws that are too old."""
    last = week_start(now) + AHEAD
    pending = tuple(
        draw for draw in draws.pending if draw.week <= last and now < draw.week + WEEK + LATEST
    )
    return Draws(tuple(week for week in draws.weeks if week <= last), pending)


def _agreed(draws: Draws, wants: Wants) -> Draws:
    """Without those of what is not wanted, or was not when their week began: a yes that was taken
    back and given anew is one to draws of later weeks."""
    agreed = (d for d in draws.pending if d.name in wants and wants[d.name].since <= d.week)
    return replace(draws, pending=tuple(agreed))


def _drawn(draws: Draws, wants: Wants, now: int, chance: Chance) -> Draws:
    """With the draws of this week, if it has none: of what was agreed to before it began. A clock
    that stepped back draws nothing."""
    week = week_start(now)
    if any(week <= drawn for drawn in draws.weeks):
        return draws
    new = tuple(
        Draw(name, week, week + int(chance.uniform(0, WEEK)))
        for name, wanted in wants.items()
        if wanted.since <= week and chance.uniform(0.0, 1.0) < wanted.rate
    )
    return Draws((*draws.weeks, week)[-REMEMBERED:], (*draws.pending, *new))

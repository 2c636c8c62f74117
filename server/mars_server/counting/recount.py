"""Counts one day anew from its logs, as after the list of releases has changed.

Only what was counted before is counted again: each log up to its position, no further. All logs
that have hits of the day must be there, or the day would lose some.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mars.errors import StateError
from mars.wire.query import AllowList
from mars_server.counting.executors import Driver
from mars_server.counting.foreign.identity import Source
from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.foreign.probe import probe, spans
from mars_server.counting.formats import AUTO
from mars_server.counting.store_port import Ledger, Sizes
from mars_server.counting.tally import Tally, merge
from mars_server.counting.tasks import Done, Task


def recount(
    day: str,
    paths: Iterable[str],
    allow: AllowList,
    driver: Driver,
    ledger: Ledger,
    format_name: str = AUTO,
    sizes: Sizes = Sizes(),  # noqa: B008 - frozen
) -> Tally:
    """The hits of an ISO day in what was counted of the logs; stores nothing.

    Raises ``StateError``: ``logs-missing`` where the day has hits from a log that is not given,
    and what the logs themselves raise.
    """
    register = Register(ledger, sizes.span)
    # By source, so that two copies of one log count once: how far it was counted, and its tasks.
    known: dict[int, tuple[int, Sequence[Task]]] = {}
    for path in paths:
        found = probe(path, format_name)
        if found.length is None:
            task = register.stream(found)
            done = next(driver([task], allow))
            done.require()
            if done.pieces and (source := register.settle(done)[0].source):
                known[source.id] = source.position, [task]
        elif source := register.plan(found)[0].source:
            tasks = spans(found, 0, sizes.span, source.position)
            known[source.id] = source.position, tasks
    _check(day, known.keys(), register.sources)
    total = merge(
        _up_to(position, done)
        for position, tasks in known.values()
        for done in driver(tasks, allow)
    )
    return _of_day(total, day)


def _check(day: str, given: Collection[int], known: Collection[Source]) -> None:
    missing = [
        one.id
        for one in known
        if one.first_day
        and one.last_day
        and one.first_day <= day <= one.last_day
        and one.id not in given
    ]
    if missing:
        raise StateError(
            "logs-missing",
            f"{len(missing)} more logs may have hits of {day}; name all logs of that day.",
        )


def _up_to(position: int, done: Done) -> Tally:
    done.require()
    if not done.pieces:
        raise StateError("log-changed", "A log changed while it was read; nothing was stored.")
    return merge(piece.tally for piece in done.pieces if piece.end <= position)


def _of_day(tally: Tally, day: str) -> Tally:
    """The part of ``tally`` that belongs to one ISO day; its lines are its hits."""
    found = Tally()
    found.cells.update({cell: n for cell, n in tally.cells.items() if cell[0] == day})
    found.pairs.update({cell: n for cell, n in tally.pairs.items() if cell[0] == day})
    found.hits = sum(n for (_, name, _), n in found.cells.items() if name == "level")
    found.lines = found.hits
    return found

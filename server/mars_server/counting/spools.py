"""How far a spool is opened, and what of it is read again when keys come that lines wait for.

Its position moves as that of any log does; a line whose key is not given is counted as waiting, and
the keys that were there are noted. When others come, what was counted is read once more under these
alone, and since each sealed line counts once (``mars_server.counting.reports.sums``), a run that
died on the way, or a line that was opened already, changes nothing. What a registry
did not let count is judged anew where another one is there: then all is read once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mars_server.counting.foreign.identity import Source
from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.foreign.probe import Probe, spans
from mars_server.counting.reports import Opening, is_open_to_others
from mars_server.counting.streams import STDIN
from mars_server.counting.tally import Tally
from mars_server.counting.tasks import Span, Task


@dataclass
class Opened:
    """Of one log on its way through a pass."""

    waiting: int = 0
    """Lines that wait, as the database is to know."""
    keys: frozenset[str] = frozenset()
    catalogue: str | None = None
    """As the database is to know of it (``Source.catalogue``)."""
    _again: int = field(default=0, repr=False)
    _open: bool = field(default=False, repr=False)

    @classmethod
    def of(cls, source: Source | None) -> Opened:
        return cls(source.waiting, source.keys, source.catalogue) if source else cls()

    def forward(self, tally: Tally, opening: Opening | None) -> None:
        """Lines were read that never were."""
        self.waiting += tally.waiting
        if opening and is_open_to_others(tally.opened):
            self.catalogue = opening.registry
        awaits = opening and (self.waiting or self.catalogue)
        self.keys = opening.ids if opening and awaits else frozenset()

    def again(self, tally: Tally, opening: Opening, *, whole: bool) -> Tally:
        """Lines were read again, ``whole``: the last of them. What this adds to the counts."""
        self._again += tally.waiting
        self._open |= is_open_to_others(tally.opened)
        if whole:
            keys = opening.done | opening.ids
            # Of those whose key is not here now, some may have been refused by the other registry.
            is_open = self._open or self.catalogue == opening.registry or not self.keys <= keys
            self.waiting, self.keys = self._again, keys
            self.catalogue = opening.registry if is_open else None
        return replace(tally, lines=0, passed=0)


def opening_of(task: Task) -> Opening | None:
    """Where ``task`` reads lines again: what with."""
    return task.opening if task.opening and task.opening.again else None


def is_last(task: Task, position: int) -> bool:
    """Whether ``task``, which reads again what was counted up to ``position``, ends there."""
    return not isinstance(task, Span) or task.end == position


def may_be_spool(found: Probe) -> bool:
    """Nothing is known beforehand of standard input. Whatever else is no spool gets no keys."""
    return found.day is not None or found.path == STDIN


def tasks_of(
    found: Probe,
    source: Source | None,
    tasks: Sequence[Task],
    opening: Opening | None,
    register: Register,
) -> list[Task]:
    """``tasks``, with what spools are opened with; before them those that read a spool again."""
    opening = opening if may_be_spool(found) else None
    forward = [replace(task, opening=opening) for task in tasks]
    if opening is None or source is None or not opening.keys:
        return forward
    if source.catalogue not in (None, opening.registry):
        again = replace(opening, again=True, anew=True)
    elif not source.waiting or opening.ids <= source.keys:
        return forward
    else:
        new = {name: key for name, key in opening.keys.items() if name.hex() not in source.keys}
        anew = source.catalogue is not None
        again = replace(opening, keys=new, again=True, anew=anew, done=source.keys)
    if found.length is None:
        return [replace(register.stream(found), opening=again)]
    return [
        *(replace(one, opening=again) for one in spans(found, 0, register.span, source.position)),
        *forward,
    ]

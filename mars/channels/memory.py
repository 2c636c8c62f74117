"""What the MOTD's channel remembers between two requests. Pure; the rules are loaded late.

Its members stand in the state file by these names. One that cannot be understood counts as never
written: no schedule (so the next first delay is drawn anew), no document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mars.core import schedule
from mars.core.schedule import Schedule
from mars.core.state import State, is_misunderstood, read, table, text, time, times
from mars.errors import MarsError, StateError, TrustError, WireError
from mars.ports import Chance
from mars.wire.times import DAY
from mars.wire.url import is_onion_server

if TYPE_CHECKING:
    from mars.core.channel import Ending
    from mars.trust import Accepted, TrustState
    from mars.wire.motd import Motd

SEEN_LIMIT = 256
"""Messages remembered as shown; a document holds at most 32."""
UNCHANGED = frozenset({"expired", "keys-expired"})
"""Refusals of a genuine document that lies there too long: no reason to leave the server."""

LOST_PERIODS = 3
QUIET = 30 * DAY
"""After either the client goes back from a server it was sent to to the built-in one."""


@dataclass(frozen=True)
class Server:
    """An onion server that an accepted document named, in place of the built-in one."""

    url: str
    since: int
    """Unix time of the last newer serial that came from it, or of its adoption."""
    failures: int = 0
    """Periods in a row that brought nothing acceptable."""


@dataclass(frozen=True)
class Memory:
    """What is remembered of the publisher, of the news shown, and of times."""

    pick: float | None = None
    """Which optional variable the next fetch carries; uniform on [0, 1], one draw for each period.

    A retry repeats it, so that a period has one value, whatever became of it on the way.
    """
    schedule: Schedule | None = None
    trust: Mapping[str, Any] = field(default_factory=dict)
    """``mars.trust.TrustState`` as JSON."""
    document: str | None = None
    """The payload last accepted and not expired then."""
    seen: Mapping[str, int] = field(default_factory=dict)
    """Revision of each message shown, oldest first."""
    server: Server | None = None
    checked: int | None = None
    """When the user last asked for a check."""
    last: Mapping[str, Any] | None = None
    """Outcome of the last try: time, reason (None for success)."""

    @classmethod
    def of(cls, state: State) -> Memory:
        """What ``state`` says of it."""
        found = {name: read(reader, state.members.get(name)) for name, reader in _READERS.items()}
        return cls(**{name: value for name, value in found.items() if value is not None})

    def plain(self) -> dict[str, Any]:
        """What ``of`` reads."""
        plain = {**vars(self), "seen": dict(list(self.seen.items())[-SEEN_LIMIT:])}
        if self.schedule is not None:
            plain["schedule"] = {"version": schedule.VERSION, **asdict(self.schedule)}
        if self.server is not None:
            plain["server"] = asdict(self.server)
        return plain

    def into(self, state: State) -> State:
        """``state`` with this in the place of what it says of it."""
        return state.keeping("motd", self.plain())

    @property
    def issued(self) -> int:
        """Of the last accepted document: a time known to have passed."""
        issued = self.trust.get("issued")
        return issued if type(issued) is int else 0

    def trust_state(self) -> TrustState:
        """The trust rules' own memory; a new installation's where there is none to be read."""
        from mars.trust import TrustState

        return _decoded(self.trust) if self.trust else TrustState.initial()

    def motd(self) -> Motd | None:
        """The last accepted document, expired or not."""
        if self.document is None:
            return None
        from mars.wire import motd as motds

        try:
            return motds.decode(self.document.encode("utf-8"))
        except (WireError, UnicodeEncodeError):
            return None

    def saw(self, shown: Mapping[str, int]) -> Memory:
        """With these messages, id to revision, as the newest that were shown."""
        older = {name: revision for name, revision in self.seen.items() if name not in shown}
        return replace(self, seen={**older, **shown})

    # --- after an attempt -------------------------------------------------------------------

    def accepted(self, found: Accepted, now: int, built_in: str) -> Memory:
        """After a document was accepted. ``built_in`` is the application's own address."""
        after = replace(self, last={"time": now, "reason": None})
        trust = _plain(found.state)
        if not _is_older(trust, self.trust):
            after = replace(after, trust=trust, document=found.payload.decode("utf-8"))
        if not found.news:
            return after
        server = _moved(self.server, found.motd.reportback_server, now, built_in)
        return replace(after, server=server)

    def refused(self, error: MarsError, now: int) -> Memory:
        """After an attempt that brought nothing; some refusals leave their mark."""
        after = replace(self, last={"time": now, "reason": error.reason})
        if not isinstance(error, TrustError):
            return after
        from mars.trust import RefusedError

        if isinstance(error, RefusedError) and not _is_older(
            trust := _plain(error.state), self.trust
        ):
            return replace(after, trust=trust)
        return after

    def settled(self, ending: Ending, now: int, chance: Chance) -> Memory:
        """Moves the schedule on after a scheduled try, and leaves a server that does not serve.

        Where the period ends, by a request that left or by the last failure, the optional variable
        is drawn anew.
        """
        if self.schedule is None:
            return self
        found: Accepted | None = ending.taken
        if found is not None:
            interval = found.motd.reportback_next
            after = schedule.succeeded(self.schedule, now, chance, interval)
        else:
            after = schedule.failed(self.schedule, now, chance, left=ending.left)
        ended = after.failures == 0
        pick = chance.uniform(0.0, 1.0) if ended else self.pick
        lost = ended and found is None and ending.reason not in UNCHANGED
        server = _kept(self.server, now, lost=lost)
        return replace(self, schedule=after, pick=pick, server=server)


def is_damaged(state: State) -> bool:
    """Whether a member says something that is not understood, or what was accepted is there
    without what must be remembered of it."""
    memory = Memory.of(state)
    forgotten = memory.document is not None and not memory.trust
    return forgotten or is_misunderstood(state.members, _READERS)


def _decoded(plain: Mapping[str, Any]) -> TrustState:
    """Raises ``StateError`` (``state-invalid``)."""
    from mars.trust import TrustState

    return TrustState.decode(json.dumps(dict(plain)).encode("ascii"))


def _trust(value: object) -> dict[str, Any]:
    """Only what the trust rules understand as a whole: a serial that is not there would let an
    older document pass."""
    said = table(value)
    try:
        if said:
            _decoded(said)
    except StateError:
        raise ValueError from None
    except (MarsError, ImportError):  # the rules are not to be had: nothing is asked for then
        pass
    return said


def _plain(state: TrustState) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(state.encode())
    return plain


def _is_older(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether another process has meanwhile accepted something newer."""
    return (new.get("epoch", 0), new.get("serial", 0)) < (old.get("epoch", 0), old.get("serial", 0))


def _moved(server: Server | None, named: str, now: int, built_in: str) -> Server | None:
    """Adopts a bare onion address, and only from a document that was not known before.

    Everything else is ignored and the old server kept.
    """
    if not is_onion_server(named):
        return replace(server, since=now, failures=0) if server else None
    return None if built_in.startswith(f"{named}/") else Server(named, now)


def _kept(server: Server | None, now: int, *, lost: bool) -> Server | None:
    """None, so the built-in server, after three lost periods or 30 days without a newer serial."""
    if server is None:
        return None
    server = replace(server, since=min(server.since, now), failures=server.failures + lost)
    if server.failures >= LOST_PERIODS or now - server.since > QUIET:
        return None
    return server


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError
    return float(value)


def _schedule(value: object) -> Schedule:
    said = table(value)
    if said["version"] != schedule.VERSION:
        raise ValueError
    wait = None if said["wait"] is None else time(said["wait"])
    counts = {name: said[name] for name in ("due", "failures", "period")}
    return Schedule(wait=wait, **times(counts))


def _server(value: object) -> Server:
    """Only what could have been adopted; anything else would stop every fetch."""
    said = table(value)
    if not is_onion_server(text(said["url"])):
        raise ValueError
    return Server(said["url"], time(said["since"]), time(said["failures"]))


_READERS: dict[str, Callable[[Any], Any]] = {
    "pick": _share,
    "schedule": _schedule,
    "trust": _trust,
    "document": text,
    "seen": times,
    "server": _server,
    "checked": time,
    "last": table,
}

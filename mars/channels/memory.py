"""What the MOTD's channel remembers between two requests. Pure; the rules are loaded late.

Its members stand in the state file by these names. One that cannot be understood counts as never
written: no schedule (so the next first delay is drawn anew), no document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mars.channels import servers
from mars.channels.servers import Server
from mars.core import schedule
from mars.core.schedule import Schedule
from mars.core.state import App, State, flag, is_misunderstood, read, table, text, time, times
from mars.errors import MarsError, StateError, TrustError, WireError
from mars.ports import Chance
from mars.wire.times import DAY

if TYPE_CHECKING:
    from typing import TypeVar

    from mars.core.channel import Ending
    from mars.trust import Accepted, Offered, TrustState
    from mars.wire.motd import Motd
    from mars.wire.release import Release
    from mars.wire.steering import Steering

    D = TypeVar("D", Steering, Release)

SEEN_LIMIT = 256
"""Messages remembered as shown; a document holds at most 32."""
AWAY = 60 * DAY
"""After so long without a document that our keys have signed the chain of keys is asked for in its
place, as the keys of the meantime may be more than ride in one document, ..."""
SELDOM = 120 * DAY
"""... once in so long at most: who asks for it is one of few."""


@dataclass(frozen=True)
class Followed:
    """Keys documents that held, in place of a document: what is kept, what steers from now on."""

    state: TrustState
    steering: Steering
    issued: int = 0
    """As of no news."""


@dataclass(frozen=True)
class Memory:
    """What is remembered of the publisher, of the news shown, and of times."""

    pick: float | None = None
    """Which variables the next fetch says; uniform on [0, 1], one draw for each period.

    A retry repeats it, so that a period has one value, whatever became of it on the way.
    """
    schedule: Schedule | None = None
    trust: Mapping[str, Any] = field(default_factory=dict)
    """``mars.trust.TrustState`` as JSON."""
    document: str | None = None
    """The payload last accepted and not expired then."""
    seen: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Revision of each message shown, oldest first, under the digest of the keys of its epoch: what
    a thief of keys showed must hide nothing from those who come after."""
    server: Server | None = None
    heard: int | None = None
    """When a document last came that the keys of our epoch have signed, refused or not."""
    began: int | None = None
    """When a scheduled request was last begun; ``spent``: its end is not known yet."""
    spent: bool = False
    chained: int | None = None
    """When the chain of keys was last asked for."""
    chaining: bool = False
    """Whether this period's request is for the chain of keys."""
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
        seen = {keys: dict(list(shown.items())[-SEEN_LIMIT:]) for keys, shown in self.seen.items()}
        plain = {**vars(self), "seen": seen}
        if self.schedule is not None:
            plain["schedule"] = plain_schedule(self.schedule)
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
        """The last accepted document, expired or not; None where it was signed in another epoch
        than the present one, whose keys may have been stolen."""
        if self.document is None:
            return None
        from mars.wire import motd as motds

        try:
            motd = motds.decode(self.document.encode("utf-8"))
        except (WireError, UnicodeEncodeError):
            return None
        held = (self.trust.get("epoch"), self.trust.get("accepted"))
        return motd if (motd.epoch, motd.serial) == held else None

    @property
    def keys(self) -> str:
        """``KeySet.digest`` of the present epoch; empty in a new installation."""
        hashes = read(table, self.trust.get("hashes")) or {}
        return str(hashes.get(str(self.trust.get("epoch")), ""))

    @property
    def shown(self) -> Mapping[str, int]:
        """Revision of each message that was shown in the present epoch."""
        return self.seen.get(self.keys, {})

    def showing(self, shown: Mapping[str, int]) -> Memory:
        """With these as all that were shown in the present epoch."""
        return replace(self, seen={self.keys: shown} if shown else {})

    def saw(self, shown: Mapping[str, int]) -> Memory:
        """With these messages, id to revision, as the newest that were shown."""
        older = {name: revision for name, revision in self.shown.items() if name not in shown}
        return self.showing({**older, **shown})

    def holding(self, trust: TrustState) -> Memory:
        """With ``trust``, unless what is remembered is newer. What was accepted before is nothing
        any more where ``trust`` is of another epoch or history."""
        held = _joined(trust, self.trust_state())
        return replace(self, trust=_plain(held), document=self.document if held.accepted else None)

    # --- where, and what for ----------------------------------------------------------------

    def named(self, app: App) -> str:
        """The server that the steering document in force names, bare; empty for the built-in one.

        Nothing else than that document, which root signs, moves a client.
        """
        held = read(_servers, self.trust.get("steering"))
        first = [app.steered] if held is None else held[:1]
        return next((one for one in first if not servers.is_built_in(one, app)), "")

    def asked(self, app: App) -> str:
        """As ``named``, but for a server that was given up."""
        named, known = self.named(app), self.server
        return "" if known and known.url == named and known.given_up else named

    def asks_for_chain(self, now: int, agreed: int | None) -> bool:
        """Whether the next scheduled request is for the chain of keys. ``agreed`` is when the user
        said yes to news.

        It depends on nothing that a server says, but for having said nothing that our keys signed:
        whoever could choose the moment for one client would know it again by that.
        """
        since = agreed if self.heard is None else self.heard
        away = since is not None and abs(now - since) >= AWAY
        due = self.chained is None or abs(now - self.chained) >= SELDOM
        return self.chaining or (away and due)

    # --- after an attempt -------------------------------------------------------------------

    def accepted(self, found: Accepted, now: int) -> Memory:
        """After a document was accepted."""
        after = replace(self.holding(found.state), last={"time": now, "reason": None}, heard=now)
        if not found.state.order < self.trust_state().order:
            after = replace(after, document=found.payload.decode("utf-8"))
        return after

    def followed(self, found: Followed, now: int) -> Memory:
        """After keys documents were accepted; that is no news."""
        return replace(self.holding(found.state), last={"time": now, "reason": None})

    def refused(self, error: MarsError, now: int) -> Memory:
        """After an attempt that brought nothing; some refusals leave their mark."""
        after = replace(self, last={"time": now, "reason": error.reason})
        if not isinstance(error, TrustError):
            return after
        from mars.trust import RefusedError

        after = replace(after, heard=now) if error.offered else after
        return after.holding(error.state) if isinstance(error, RefusedError) else after

    def drawn(self, chance: Chance) -> Memory:
        """For a new period, of which nothing was said yet."""
        return replace(self, pick=chance.uniform(0.0, 1.0), chaining=False, spent=False)

    def moved(self, midnight: int, chance: Chance) -> Memory:
        """After a try that was kept back for another request of that day; nothing was said."""
        if self.schedule is None:
            return self
        return replace(self, spent=False, schedule=schedule.moved(self.schedule, midnight, chance))

    def settled(self, ending: Ending, now: int, chance: Chance, app: App) -> Memory:
        """Moves the schedule on after a scheduled try, and turns from a server that does not serve.

        Where the period ends, by a request that left or by the last failure, what the next one
        says is drawn anew.
        """
        if self.schedule is None:
            return self.drawn(chance)
        # What our keys signed counts, accepted or not: whoever showed one client something newer
        # than all others, which it then refuses, would else know it again.
        found: Accepted | Followed | Offered | None
        found = ending.taken or getattr(ending.error, "offered", None)
        if found is not None:
            after = schedule.succeeded(self.schedule, now, chance, found.steering.reportback_next)
        else:
            after = schedule.failed(self.schedule, now, chance, left=ending.left)
        if after.failures:
            return replace(self, schedule=after, spent=False)
        offered = None if found is None else found.issued
        return replace(
            self.drawn(chance),
            schedule=after,
            server=servers.tried(self.server, self.named(app), now, offered),
            # Where nothing left, nobody was asked.
            chained=None if self.chaining and not ending.left else self.chained,
        )


def due(state: State) -> int | None:
    """When the next fetch is due."""
    found = read(read_schedule, state.members.get("schedule"))
    return found.due if found else None


def is_older(state: State) -> bool:
    """Whether its trust part knew no roles: no key of ours has signed what it says."""
    return (read(table, state.members.get("trust")) or {}).get("version") == 1


def is_damaged(state: State) -> bool:
    """Whether a member says something that is not understood, or what was accepted is there
    without what must be remembered of it."""
    if is_older(state):
        return False
    memory = Memory.of(state)
    forgotten = memory.document is not None and not memory.trust
    return forgotten or is_misunderstood(state.members, _READERS)


def _decoded(plain: Mapping[str, Any]) -> TrustState:
    """Raises ``StateError`` (``state-invalid``)."""
    return _trust_state(json.dumps(dict(plain)).encode("ascii"))


@lru_cache(maxsize=4)  # it is asked for at every look, and its keys take a while
def _trust_state(data: bytes) -> TrustState:
    from mars.trust import TrustState

    return TrustState.decode(data)


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


def _joined(new: TrustState, old: TrustState) -> TrustState:
    """The newer of both, with what the other alone knows: another process may have accepted
    something meanwhile."""
    newer, older = (old, new) if new.order < old.order else (new, old)
    newer = newer.with_evidence(*older.evidence)
    if (newer.gen, newer.hashes) != (older.gen, older.hashes):
        return newer
    return replace(
        newer,
        openpgp=newer.openpgp or older.openpgp,
        steering=_latest(old.steering, new.steering),
        release=_latest(old.release, new.release),
    )


def _latest(first: D | None, other: D | None) -> D | None:
    """The greater serial; ``first`` of two equal ones."""
    if first is None or other is None:
        return first or other
    return other if other.serial > first.serial else first


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError
    return float(value)


def plain_schedule(plan: Schedule | None) -> dict[str, Any] | None:
    """What ``read_schedule`` reads."""
    return None if plan is None else {"version": schedule.VERSION, **asdict(plan)}


def read_schedule(value: object) -> Schedule:
    """Raises ``TypeError``, ``ValueError`` or ``LookupError``."""
    said = table(value)
    if said["version"] != schedule.VERSION:
        raise ValueError
    wait = None if said["wait"] is None else time(said["wait"])
    counts = {name: said[name] for name in ("due", "failures", "period")}
    return Schedule(wait=wait, **times(counts))


def _servers(steering: str) -> list[str]:
    """Of a steering document as the trust state keeps it, without loading the rules."""
    return [text(server) for server in json.loads(steering)["servers"]]


def _seen(value: object) -> dict[str, dict[str, int]]:
    return {text(keys): times(shown) for keys, shown in table(value).items()}


_READERS: dict[str, Callable[[Any], Any]] = {
    "pick": _share,
    "schedule": read_schedule,
    "trust": _trust,
    "document": text,
    "seen": _seen,
    "server": servers.read,
    "heard": time,
    "began": time,
    "spent": flag,
    "chained": time,
    "chaining": flag,
    "checked": time,
    "last": table,
}

"""The client's state: one small JSON file, read forgivingly and written whole.

Whatever cannot be understood counts as never written: no consent, no schedule (so the next first
delay is drawn anew), no document. Each section stands alone, so that one bad section loses nothing
else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from mars import schedule
from mars.consent import LEVELS, OFF, Decision
from mars.ports import Chance
from mars.schedule import VERSION as SCHEDULE_VERSION
from mars.schedule import Schedule
from mars.wire.onion import is_onion_server
from mars.wire.times import DAY

VERSION = 1
LIMIT = 256 * 1024
"""Bytes. A state file beyond it is not ours."""
FARTHEST_TIME = 2**53 - 1
SEEN_LIMIT = 256
"""Messages remembered as shown; a document holds at most 32."""


LOST_PERIODS = 3
QUIET = 30 * DAY
"""After either the client goes back from a server it was sent to to the built-in one."""

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """An onion server that an accepted document named, in place of the built-in one."""

    url: str
    since: int
    """Unix time of the last newer serial that came from it, or of its adoption."""
    failures: int = 0
    """Whole periods that failed in a row."""


@dataclass(frozen=True)
class State:
    """Everything that is remembered of one product and channel for one user."""

    installed: int | None = None
    """UTC midnight of the first run: no seconds, so that a leaked file is no fingerprint."""
    pick: float = 0.0
    """Which optional variable the next fetch carries; uniform on [0, 1], one draw for each period.

    A retry repeats it: a server that refuses would else be told one value after another.
    """
    decision: Decision | None = None
    country: str | None = None
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
    app: Mapping[str, Any] = field(default_factory=dict)
    """The application as it last said who it is, so that ``mars preview`` needs no options."""
    last: Mapping[str, Any] | None = None
    """Outcome of the last try: time, reason (None for success)."""


@dataclass(frozen=True)
class Learnt:
    """What an attempt brought, to be joined to the state as it is by then."""

    trust: Mapping[str, Any] | None = None
    """The trust state to keep; None leaves it as it is."""
    document: str | None = None
    newer: bool = False
    """Whether the document was not known before."""
    reached: bool = False
    """Whether the server answered with a genuine document, however old."""
    interval: int = 0
    """The ``reportback_next`` as signed, seconds."""
    server: str = ""
    """The ``reportback_server`` as signed."""
    built_in: str = ""


def learn(state: State, learnt: Learnt, reason: str | None, now: int) -> State:
    """``state`` after an attempt that ended with ``reason`` (None: a document was accepted)."""
    state = replace(state, last={"time": now, "reason": reason})
    if learnt.trust is not None and not _older(learnt.trust, state.trust):
        state = replace(state, trust=learnt.trust)
        if learnt.document is not None:
            state = replace(state, document=learnt.document)
    if learnt.newer:
        state = replace(state, server=_moved(state.server, learnt, now))
    return state


def settle(state: State, learnt: Learnt, now: int, chance: Chance) -> State:
    """Moves the schedule on after a scheduled try, and leaves a server that does not serve.

    Where the period ends, by success or by the last failure, the optional variable is drawn anew.
    """
    if state.schedule is None:
        return state
    if learnt.document is not None:
        after = schedule.succeeded(state.schedule, now, chance, learnt.interval)
    elif learnt.reached:
        after = replace(state.schedule, failures=0)
    else:
        after = schedule.failed(state.schedule, now, chance)
    ended = after.failures == 0
    pick = chance.uniform(0.0, 1.0) if ended else state.pick
    lost = ended and not learnt.reached
    return replace(state, schedule=after, pick=pick, server=_kept(state.server, now, lost=lost))


def _kept(server: Server | None, now: int, *, lost: bool) -> Server | None:
    """None, so the built-in server, after three lost periods or 30 days without a newer serial."""
    if server is None:
        return None
    server = replace(server, since=min(server.since, now), failures=server.failures + lost)
    if server.failures >= LOST_PERIODS or now - server.since > QUIET:
        return None
    return server


def narrowed(state: State, wanted: State, over: Decision | None) -> State:
    """``state`` with what the user chose and could not be stored yet; it only ever takes back.

    ``wanted`` is ``state`` as chosen. A later decision, made elsewhere, stands before it; not so
    ``over``, which the user had seen, whatever the clock said then.
    """
    old, veto = state.decision, wanted.decision
    if old and veto and old != over and old.decided > veto.decided:
        return state
    country = state.country if state.country == wanted.country else None
    state = replace(state, country=country, installed=wanted.installed)
    if old is None or veto is None:
        return state
    level = min(old.level, veto.level, key=LEVELS.index)
    decision = replace(
        old,
        level=level,
        decided=veto.decided,
        variables=tuple(name for name in old.variables if name in veto.variables),
        stats=old.stats and veto.stats,
        errors=old.errors and veto.errors,
        direct=old.direct and veto.direct,
    )
    return replace(state, decision=decision, schedule=None if level == OFF else state.schedule)


def saw(state: State, shown: Mapping[str, int]) -> State:
    """``state`` with these messages, id to revision, remembered as the newest that were shown."""
    older = {name: revision for name, revision in state.seen.items() if name not in shown}
    return replace(state, seen={**older, **shown})


def _older(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether another process has meanwhile accepted something newer."""
    return (new.get("epoch", 0), new.get("serial", 0)) < (old.get("epoch", 0), old.get("serial", 0))


def _moved(server: Server | None, learnt: Learnt, now: int) -> Server | None:
    """Adopts a bare onion address, and only from a document that was not known before.

    Everything else is ignored and the old server kept.
    """
    if not is_onion_server(learnt.server):
        return replace(server, since=now, failures=0) if server else None
    if learnt.built_in.startswith(learnt.server + "/"):
        return None
    return Server(learnt.server, now)


def first(now: int, pick: float) -> State:
    """The state of a first run. Nothing is consented to."""
    return State(installed=midnight(now), pick=pick)


def midnight(now: int) -> int:
    """The beginning of the UTC day of ``now``."""
    return now - now % DAY


def encode(state: State) -> bytes:
    """One JSON document in UTF-8, keys in a fixed order."""
    table: dict[str, Any] = {
        "version": VERSION,
        "installed": state.installed,
        "pick": state.pick,
        "decision": None if state.decision is None else asdict(state.decision),
        "country": state.country,
        "schedule": None
        if state.schedule is None
        else {"version": SCHEDULE_VERSION, **asdict(state.schedule)},
        "trust": dict(state.trust),
        "document": state.document,
        "seen": dict(list(state.seen.items())[-SEEN_LIMIT:]),
        "server": None if state.server is None else asdict(state.server),
        "checked": state.checked,
        "app": dict(state.app),
        "last": state.last,
    }
    return (json.dumps(table, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def decode(data: bytes | None) -> State | None:
    """None where ``data`` is not a state at all: that is a first run."""
    table = _members(data)
    if table is None:
        return None
    return State(
        installed=_or_none(_time, table.get("installed")),
        pick=_or_none(_share, table.get("pick")) or 0.0,
        decision=_or_none(_decision, table.get("decision")),
        country=_or_none(_text, table.get("country")),
        schedule=_or_none(_schedule, table.get("schedule")),
        trust=_or_none(_table, table.get("trust")) or {},
        document=_or_none(_text, table.get("document")),
        seen=_or_none(_seen, table.get("seen")) or {},
        server=_or_none(_server, table.get("server")),
        checked=_or_none(_time, table.get("checked")),
        app=_or_none(_table, table.get("app")) or {},
        last=_or_none(_table, table.get("last")),
    )


def is_damaged(data: bytes) -> bool:
    """Whether ``data``, or a section of it, says something that ``decode`` does not understand."""
    table, state = _members(data), decode(data)
    return table is None or any(
        table.get(section.name) and not getattr(state, section.name) for section in fields(State)
    )


def _members(data: bytes | None) -> dict[str, Any] | None:
    if data is None or len(data) > LIMIT:
        return None
    try:
        table = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) and table.get("version") == VERSION else None


def _or_none(read: Callable[[Any], T], value: object) -> T | None:
    try:
        return read(value)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _time(value: object) -> int:
    if type(value) is not int or not 0 <= value <= FARTHEST_TIME:
        raise ValueError
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(item) for item in value)


def _decision(value: Any) -> Decision:
    """Unknown means no: a decision that is not complete is none."""
    table = _table(value)
    if table["level"] not in LEVELS:
        raise ValueError
    return Decision(
        level=table["level"],
        decided=_time(table["decided"]),
        variables=_names(table["variables"]),
        asked=_names(table["asked"]),
        stats=_flag(table["stats"]),
        errors=_flag(table["errors"]),
        direct=_flag(table["direct"]),
    )


def _schedule(value: Any) -> Schedule:
    table = _table(value)
    if table["version"] != SCHEDULE_VERSION:
        raise ValueError
    wait = table["wait"]
    return Schedule(
        due=_time(table["due"]),
        wait=None if wait is None else _time(wait),
        failures=_time(table["failures"]),
        period=_time(table["period"]),
    )


def _seen(value: Any) -> dict[str, int]:
    return {_text(name): _time(revision) for name, revision in _table(value).items()}


def _server(value: Any) -> Server:
    """Only what could have been adopted; anything else would stop every fetch."""
    table = _table(value)
    if not is_onion_server(_text(table["url"])):
        raise ValueError
    return Server(table["url"], _time(table["since"]), _time(table["failures"]))

"""The client's state: one small JSON file, read forgivingly and written whole. Pure.

Whatever cannot be understood counts as never written: no consent, and nothing remembered. Each
member stands alone, so that one bad member loses nothing else. What a channel remembers lies under
its name, and is kept as it is where that channel is not at hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from typing import Any, TypeVar

from mars import consent
from mars.consent import Decision
from mars.errors import ConfigError, StateError
from mars.wire.product import is_name
from mars.wire.registry import MAX_EPSILON, Question, is_question
from mars.wire.strictjson import is_deep
from mars.wire.times import DAY

VERSION = 1
LIMIT = 768 * 1024
"""Bytes of a state file. A larger one is neither written nor replaced."""
SHARE, SHARES = 64 * 1024, 256 * 1024
"""Bytes of it for one further channel, and for all. The rest holds the core's and the MOTD's: the
last news of 32 KiB, steering and release documents of 16 KiB each and the keys of a trust file of
64 KiB, each at most three times as long in ASCII, the hashes of 256 epochs and 256 names."""
DEEPEST = 64
"""Arrays and objects inside one another; called from deep in an application, a reader has few."""
BESIDE = (
    *"pick schedule trust document seen server".split(),
    *"heard began spent chained chaining checked last".split(),
)
"""Of the channel ``motd`` these members stand beside the core's: there was no other at first."""
_EARLIER = {name: consent.SWITCHES[name] for name in ("stats", "errors")}
"""The switches of releases that knew no purposes."""
FARTHEST_TIME = 2**53 - 1
_HEAD = re.compile(rb'{\s*"version": 1,\s*"installed": (\d+|null),\s*"(pick|decision)": ')
"""Begins what ``encode`` writes, and wrote before."""

T = TypeVar("T")


@dataclass(frozen=True)
class App:
    """What the application says of itself. Everything else is the user's or the machine's."""

    product: str
    version: str
    url: str
    """Where the built-in server's document lies."""
    server: str = field(default="", kw_only=True)
    """The built-in server, bare, as the release pins it."""
    steered: str = field(default="", kw_only=True)
    """The server that is asked until a signed document names one, bare; empty: the built-in one."""
    languages: tuple[str, ...] = ("en",)
    """Languages that the application ships."""
    locale: str = ""
    """The language it is shown in now, when the application knows better than the system."""
    ceiling: consent.Layer = field(
        default_factory=lambda: consent.cap("application", consent.TRACKED)
    )
    """The most that the application ever wants, whatever its user agrees to."""
    built: int = 0
    """A time known to have passed: of the build."""
    crowd: int = 0
    """How many installations say something of themselves, as the trust file has it; never what a
    server says."""
    channel: str = ""
    """Its release channel; empty where that is not known."""
    declares: bool = False
    """Whether it ships a registry, so that what it declares can be shown."""
    by_hand: bool = False
    """Described on a command line, which does not overrule what the application said of itself."""

    def profile(self) -> dict[str, Any]:
        """What is kept with the state, for ``mars preview`` and its like."""
        return {**vars(self), "languages": list(self.languages), "ceiling": self.ceiling.level}

    @classmethod
    def of(cls, profile: Mapping[str, Any]) -> App:
        """What ``profile`` made; anything that cannot be read is left at its default."""
        languages = profile.get("languages")
        built, crowd = (read(time, profile.get(name)) or 0 for name in ("built", "crowd"))
        names = ("product", "version", "url", "server", "steered", "locale", "channel")
        return cls(
            **{name: str(profile.get(name, "")) for name in names},
            languages=tuple(map(str, languages)) if isinstance(languages, list) else (),
            ceiling=consent.cap("application", str(profile.get("ceiling", consent.TRACKED))),
            built=built,
            crowd=crowd,
            declares=profile.get("declares") is True,
            by_hand=profile.get("by_hand", True) is True,
        )


@dataclass(frozen=True)
class State:
    """Everything that is remembered of one product and channel for one user."""

    installed: int | None = None
    """UTC midnight of the first run: no seconds, so that a leaked file is no fingerprint."""
    decision: Decision | None = None
    country: str | None = None
    days: tuple[int, ...] = ()
    """Days on which a request left, or may have, the newest last (``mars.core.days``)."""
    app: Mapping[str, Any] = field(default_factory=dict)
    """The application as it last said who it is, so that ``mars preview`` needs no options."""
    members: Mapping[str, Any] = field(default_factory=dict)
    """The channels' own as they stand in the file, as plain JSON."""

    def require_of(self, app: App) -> None:
        """A decision is about one product and channel, and no consent to another's requests.

        Raises ``ConfigError`` (``wrong-product``) where this is kept for another than ``app``.
        What either does not say is not compared.
        """
        kept = App.of(self.app)
        pairs = ((kept.product, app.product), (kept.channel, app.channel))
        if any(one and other and one != other for one, other in pairs):
            name = " ".join(filter(is_name, pairs[0][:1] + pairs[1][:1]))
            raise ConfigError(
                "wrong-product",
                f"What lies in that folder is kept for another product or channel ({name}), so it "
                "is left alone and nothing is sent; check the name, or give each a folder of its "
                "own.",
            )

    def kept(self, channel: str) -> Mapping[str, Any]:
        """What ``channel`` remembers; empty where that is nothing, or not understood."""
        if channel == "motd":
            return {name: self.members[name] for name in BESIDE if name in self.members}
        return read(table, self.members.get(channel)) or {}

    def keeping(self, channel: str, kept: Mapping[str, Any]) -> State:
        """With all that ``channel`` remembers from now on; it can change nothing else.

        Raises ``OverflowError`` beyond its share (not of nothing), ``TypeError`` for no JSON.
        """
        if channel == "motd":
            own = {name: kept[name] for name in BESIDE if name in kept}
        else:
            said = json.dumps(dict(kept))
            others = [one for name, one in self.members.items() if name not in (channel, *BESIDE)]
            room = min(SHARE, SHARES - sum(len(json.dumps(one)) for one in others))
            if kept and (len(said) > room or is_deep(said.encode("ascii"), DEEPEST)):
                raise OverflowError
            own = {channel: json.loads(said)}
        return replace(self, members={**self.members, **own})


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
    purposes = {name: veto.purposes[name] for name in old.purposes if name in veto.purposes}
    before, asked = old.questions, veto.questions
    decision = replace(
        old,
        decided=veto.decided,
        purposes=purposes,
        variables=tuple(name for name in old.variables if name in veto.variables),
        direct=old.direct and veto.direct,
        always=old.always and veto.always,
        entries={name: veto.entries[name] for name in old.entries if name in veto.entries},
        declined=tuple(sorted({*old.declined, *veto.declined})),
        questions={n: q for n, q in asked.items() if n in before and before[n].covers(q)},
    )
    return replace(state, decision=decision)


def first(now: int) -> State:
    """The state of a first run. Nothing is consented to."""
    return State(installed=midnight(now))


def midnight(now: int) -> int:
    """The beginning of the UTC day of ``now``."""
    return now - now % DAY


def encode(state: State) -> bytes:
    """One JSON document in UTF-8, keys in a fixed order. Raises ``StateError`` beyond ``LIMIT``."""
    table: dict[str, Any] = {
        "version": VERSION,
        "installed": state.installed,
        "decision": None if state.decision is None else _plain(state.decision),
        "country": state.country,
        "days": list(state.days),
        **state.members,
        "app": dict(state.app),
    }
    data = f"{json.dumps(table)}\n".encode("ascii")
    require_size(data)
    return data


def require_size(data: bytes) -> None:
    """Raises ``StateError`` (``state-too-large``)."""
    if len(data) > LIMIT:
        raise StateError(
            "state-too-large",
            f"The state would be, or is, larger than {LIMIT} bytes, so it is left as it is and "
            "nothing is sent; put back a copy of its file, or remove it and choose again.",
        )


def _plain(decision: Decision) -> dict[str, Any]:
    """With level and switches for earlier releases, which know no purposes."""
    switches = {name: one.name in decision.purposes for name, one in _EARLIER.items()}
    return {"level": decision.level, **switches, **asdict(decision)}


def decode(data: bytes | None) -> State | None:
    """None where ``data`` is not a state at all: that is a first run."""
    table = _members(data)
    if table is None:
        return None
    said, decision = table.pop("app", None), read(_OWN["decision"], table.pop("decision", None))
    app = read(_OWN["app"], said)
    return State(
        installed=read(_OWN["installed"], table.pop("installed", None)),
        decision=None if app is None and said is not None else decision,  # whose is it?
        country=read(_OWN["country"], table.pop("country", None)),
        days=read(_OWN["days"], table.pop("days", None)) or (),
        app=app or {},
        members={name: value for name, value in table.items() if name != "version"},
    )


def is_damaged(data: bytes) -> bool:
    """Whether ``data``, or a member of the core's, is something that ``decode`` does not
    understand."""
    found = _members(data)
    if found is None or is_misunderstood(found, _OWN):
        return True
    return is_misunderstood(read(table, found.get("decision")) or {}, _OF_ENTRIES)


def is_ours(data: bytes | None) -> bool:
    """Whether a client wrote ``data``, damaged or not: others name files of theirs alike."""
    return _HEAD.match(data or b"") is not None


def _members(data: bytes | None) -> dict[str, Any] | None:
    if data is None or len(data) > LIMIT:
        return None
    try:
        table = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) and table.get("version") == VERSION else None


# --- readers of plain JSON: what is not as it should be raises, and ``read`` makes None of it ----


def read(reader: Callable[[Any], T], value: object) -> T | None:
    """None of what ``reader`` does not understand."""
    try:
        return reader(value)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def is_misunderstood(
    members: Mapping[str, Any], readers: Mapping[str, Callable[[Any], object]]
) -> bool:
    """Whether one of ``members`` says something that its reader makes nothing of."""
    return any(
        members.get(name) is not None and read(reader, members[name]) is None
        for name, reader in readers.items()
    )


def of_type(kind: type[T]) -> Callable[[object], T]:
    """A value of just this type, where a bool is no int."""

    def reader(value: object) -> T:
        if type(value) is not kind:
            raise TypeError
        return value

    return reader


def time(value: object) -> int:
    """Unix time, or another count of seconds."""
    if type(value) is not int or not 0 <= value <= FARTHEST_TIME:
        raise ValueError
    return value


table: Callable[[object], dict[str, Any]] = of_type(dict)
text = of_type(str)
flag = of_type(bool)


def times(value: object) -> dict[str, int]:
    """A count or a time for each name."""
    return {text(name): time(number) for name, number in table(value).items()}


def _names(value: object) -> tuple[str, ...]:
    return tuple(map(text, of_type(list)(value)))


def _days(value: object) -> tuple[int, ...]:
    return tuple(map(time, of_type(list)(value)))


def _entries(value: object) -> dict[str, int]:
    return {name: at for name, at in times(value).items() if is_question(name)}


def question(value: object) -> Question:
    """What somebody agreed to."""
    said = table(value)
    digest, rate, epsilon = (said[name] for name in ("digest", "rate", "epsilon"))
    number = of_type(float)
    if not (0 < number(rate) <= 1 and 0 <= number(epsilon) <= MAX_EPSILON):
        raise ValueError
    return Question(text(digest), rate, epsilon)


def _questions(value: object) -> dict[str, Question]:
    return {text(name): question(asked) for name, asked in table(value).items()}


def _decision(value: Any) -> Decision:
    """Unknown means no: a decision that is not complete is none, and where level, switches and
    purposes contradict each other the least of them holds.

    Of statistics that cannot be read none was agreed to, and nothing else is lost.

    Releases that knew no purposes wrote a level; switches of theirs were a yes to what could not
    yet be shown, so to nothing.
    """
    said = table(value)
    of_level = Decision.of(said["level"], time(said["decided"]))
    since = times(said["purposes"]) if "purposes" in said else of_level.purposes
    off = {one.name for name, one in _EARLIER.items() if not flag(said[name])}
    since = {name: at for name, at in since.items() if name not in off}
    both = takewhile(since.__contains__, of_level.purposes)
    decision = Decision.of(
        consent.LEVELS[len(list(both))],
        of_level.decided,
        since,
        variables=_names(said["variables"]),
        asked=_names(said["asked"]),
        direct=flag(said["direct"]),
        always=read(flag, said.get("always")) or False,
        entries=read(_entries, said.get("entries")) or {},
        declined=read(_names, said.get("declined")) or (),
        questions=read(_questions, said.get("questions")) or {},
    )
    own = {name: at for name, at in since.items() if name in decision.purposes}
    return replace(decision, purposes={**decision.purposes, **own})


_OF_ENTRIES: dict[str, Callable[[Any], Any]] = {
    "entries": _entries,
    "declined": _names,
    "questions": _questions,
}
"""Members of a decision."""
_OWN: dict[str, Callable[[Any], Any]] = {
    "installed": time,
    "decision": _decision,
    "country": text,
    "days": _days,
    "app": table,
}
"""The members of the core itself."""

RESERVED = frozenset({"version", *_OWN, *BESIDE, "state", "current", "failures"})
"""What no channel may be called: these members, or the files of these names, are others'."""
